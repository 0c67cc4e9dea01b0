"use client";

import Link from "next/link";
import { type FormEvent, useState } from "react";
import { accountStore, logIn, logOut, nameError } from "@/account/account";
import { orderStore } from "@/cart/actions";
import { useHydrated, useStored } from "@/cart/useStored";
import { formatCents } from "@/catalogue/money";
import { Field } from "@/components/checkout/Field";

/** Logging in and out, and the orders of this browser. */
export function AccountView() {
  const name = useStored(accountStore);
  const orders = useStored(orderStore);
  const hydrated = useHydrated();
  if (!hydrated) return <div className="cart-waiting" aria-busy="true" />;
  return (
    <>
      {name === null ? <LogInForm /> : (
        <>
          <h1>Hello, {name}</h1>
          <p>Your events carry <code>{name}</code> as user id, and your features are kept under it.</p>
          <p><button type="button" className="button" onClick={logOut}>Log out</button></p>
        </>
      )}
      {orders.length > 0 && (
        <section>
          <h2>Orders of this browser</h2>
          <ul className="review-lines">
            {orders.map((order) => (
              <li key={order.id}><Link href={`/order/${order.id}`}>{order.id}</Link><span>{formatCents(order.totals.payCents)}</span></li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function LogInForm() {
  const [text, setText] = useState("");
  const [error, setError] = useState<string>();

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const name = text.trim().toLowerCase();
    const wrong = nameError(name);
    setError(wrong);
    if (wrong) event.currentTarget.querySelector<HTMLInputElement>("#shopper")?.focus();
    else logIn(name);
  }

  return (
    <>
      <h1>Log in</h1>
      <form onSubmit={submit} noValidate>
        <Field id="shopper" label="A name for this visit" value={text} onChange={setText} autoComplete="off" error={error}
          hint="Make one up: it becomes your user id. There is no password, and nothing is checked." />
        <button type="submit" className="button">Log in</button>
      </form>
    </>
  );
}
