import Link from "next/link";
import { type Step, steps } from "@/cart/checkout";

const names: Readonly<Record<Step, string>> = { address: "Address", delivery: "Delivery", payment: "Payment", review: "Review" };

/** Where the shopper is in the checkout. Steps that are filled in can be gone back to. */
export function StepList({ current, open }: { current: Step; open: Step }) {
  return (
    <nav aria-label="Steps of the checkout">
      <ol className="steps">
        {steps.map((step, index) => (
          <li key={step} data-state={step === current ? "current" : index < steps.indexOf(current) ? "done" : "to-come"}>
            {step !== current && index <= steps.indexOf(open)
              ? <Link href={`/checkout/${step}`}>{names[step]}</Link>
              : <span aria-current={step === current ? "step" : undefined}>{names[step]}</span>}
          </li>
        ))}
      </ol>
    </nav>
  );
}
