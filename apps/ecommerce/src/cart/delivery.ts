/** A way for goods to arrive. `priceOf` takes what the goods cost after the discount, in cents. */
export type Delivery = {
  id: string;
  name: string;
  provider: string;
  method: string;
  note: string;
  priceOf: (goodsCents: number) => number;
};

/** From this value on, the mail boat is free. */
export const FREE_DELIVERY_CENTS = 7500;

const mailBoat: Delivery = {
  id: "mail-boat", name: "Mail boat", provider: "Oddharbour Mail Boat", method: "standard",
  note: "Two to four days, tides permitting. Free from €75.",
  priceOf: (goodsCents) => (goodsCents >= FREE_DELIVERY_CENTS ? 0 : 495),
};

/** All ways of delivery; the first is the default. */
export const deliveries: readonly Delivery[] = [
  mailBoat,
  {
    id: "gull-express", name: "Gull express", provider: "Gull & Tern Couriers", method: "express",
    note: "Tomorrow before noon, by something with wings.", priceOf: () => 1250,
  },
  {
    id: "quayside", name: "Quayside locker", provider: "Oddharbour Lockers", method: "pickup",
    note: "Ready in an hour, day and night.", priceOf: () => 0,
  },
];

/** The delivery with this id, else the default. */
export function deliveryById(id: string): Delivery {
  return deliveries.find((delivery) => delivery.id === id) ?? mailBoat;
}
