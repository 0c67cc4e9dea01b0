"use client";

import { type FormEvent, useState } from "react";
import { refundLines } from "@/cart/actions";
import type { Order } from "@/cart/order";
import { formatCents } from "@/catalogue/money";

const reasons = ["It does not fit", "It is not what I thought", "I have one already"] as const;

/** The order's lines, each of which can be given back. */
export function RefundForm({ order }: { order: Order }) {
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [reason, setReason] = useState<string>(reasons[0]);
  const [said, setSaid] = useState("");
  const open = order.lines.some((line) => !line.refunded);

  function submit(event: FormEvent) {
    event.preventDefault();
    const cents = refundLines(order.id, chosen, reason);
    setSaid(cents > 0 ? `${formatCents(cents)} goes back to you.` : "Choose what you give back.");
    setChosen([]);
  }

  return (
    <form className="refund" onSubmit={submit} aria-labelledby="order-lines">
      <h2 id="order-lines">What you ordered</h2>
      <ul className="review-lines">
        {order.lines.map((line) => (
          <li key={line.key}>
            <label className="check">
              <input type="checkbox" disabled={line.refunded} checked={chosen.includes(line.key)}
                onChange={(event) => setChosen(event.target.checked ? [...chosen, line.key] : chosen.filter((key) => key !== line.key))} />
              <span>{line.quantity} × {line.name}{line.size ? `, ${line.size}` : ""}{line.refunded ? " (given back)" : ""}</span>
            </label>
            <span>{formatCents(line.paidCents)}</span>
          </li>
        ))}
      </ul>
      {open && (
        <div className="refund-row">
          <label htmlFor="reason">Why?</label>
          <select id="reason" value={reason} onChange={(event) => setReason(event.target.value)}>
            {reasons.map((option) => <option key={option}>{option}</option>)}
          </select>
          <button type="submit" className="button-small">Give back what is ticked</button>
        </div>
      )}
      <p role="status" className="buy-said">{said}</p>
    </form>
  );
}
