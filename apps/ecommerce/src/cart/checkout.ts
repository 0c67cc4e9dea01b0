/** The steps of the checkout, in order. An event's step number is the index here plus one. */
export const steps = ["address", "delivery", "payment", "review"] as const;

export type Step = (typeof steps)[number];

/** Whether a text names a step. */
export function isStep(text: string): text is Step {
  return (steps as readonly string[]).includes(text);
}

/** What the shopper has filled in so far. It lives as long as the tab. */
export type Draft = {
  name: string;
  street: string;
  postcode: string;
  town: string;
  newsletter: boolean;
  deliveryId?: string;
  paymentMethod?: string;
  coupon?: string;
};

export const emptyDraft: Draft = { name: "", street: "", postcode: "", town: "", newsletter: false };

/** Ways to pay. The shop is a demonstration: none of them asks for a number. */
export const payments = [
  { id: "invoice", name: "Invoice", note: "Pay within 14 days. No one will write to you.", declined: false },
  { id: "card", name: "Card", note: "A pretend card, always with enough on it. No number is asked for.", declined: false },
  { id: "empty_card", name: "Empty card", note: "A card that is declined, to see what the shop makes of it.", declined: true },
] as const;

export type AddressField = "name" | "street" | "postcode" | "town";

/** What is wrong with an address, field by field. */
export function addressErrors(draft: Draft): Partial<Record<AddressField, string>> {
  const errors: Partial<Record<AddressField, string>> = {};
  if (draft.name.trim().length < 2) errors.name = "Write the name that goes on the parcel.";
  if (draft.street.trim().length < 3) errors.street = "Write the street and the house number.";
  if (!/^[\p{L}\p{N}][\p{L}\p{N} -]{2,9}$/u.test(draft.postcode.trim())) errors.postcode = "Write a postcode of 3 to 10 letters or digits, such as 1234 AB.";
  if (draft.town.trim().length < 2) errors.town = "Write the town.";
  return errors;
}

/** The first step that is not filled in yet: no later one may be entered. */
export function firstOpenStep(draft: Draft): Step {
  if (Object.keys(addressErrors(draft)).length > 0) return "address";
  if (!draft.deliveryId) return "delivery";
  if (!draft.paymentMethod) return "payment";
  return "review";
}
