"use client";

import { type FormEvent, useState } from "react";
import { draftStore } from "@/cart/actions";
import { addressErrors, type AddressField } from "@/cart/checkout";
import { Field } from "./Field";

const fields: readonly { name: AddressField; label: string; autoComplete: string }[] = [
  { name: "name", label: "Name on the parcel", autoComplete: "name" },
  { name: "street", label: "Street and number", autoComplete: "street-address" },
  { name: "postcode", label: "Postcode", autoComplete: "postal-code" },
  { name: "town", label: "Town", autoComplete: "address-level2" },
];

/** First step: the address. */
export function AddressStep({ onDone }: { onDone: () => void }) {
  const [draft, setDraft] = useState(draftStore.get);
  const [checked, setChecked] = useState(false);
  const errors = checked ? addressErrors(draft) : {};

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    setChecked(true);
    const wrong = fields.find((field) => addressErrors(draft)[field.name]);
    if (wrong) {
      event.currentTarget.querySelector<HTMLInputElement>(`#${wrong.name}`)?.focus();
      return;
    }
    draftStore.set({ ...draftStore.get(), ...draft });
    onDone();
  }

  return (
    <form onSubmit={submit} noValidate>
      {fields.map((field) => (
        <Field key={field.name} id={field.name} label={field.label} autoComplete={field.autoComplete} error={errors[field.name]}
          value={draft[field.name]} onChange={(value) => setDraft({ ...draft, [field.name]: value })} />
      ))}
      <label className="check">
        <input type="checkbox" checked={draft.newsletter} onChange={(event) => setDraft({ ...draft, newsletter: event.target.checked })} />
        <span>Send me the almanac, four times a year</span>
      </label>
      <p className="hint">The address stays in this tab. Only the postcode goes into an event.</p>
      <button type="submit" className="button">On to delivery</button>
    </form>
  );
}
