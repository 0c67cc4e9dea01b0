import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { isStep, steps } from "@/cart/checkout";
import { CheckoutView } from "@/components/checkout/CheckoutView";

type Props = { params: Promise<{ step: string }> };

export const metadata: Metadata = { title: "Checkout", robots: { index: false } };
export const dynamicParams = false;

export function generateStaticParams() {
  return steps.map((step) => ({ step }));
}

export default async function CheckoutPage({ params }: Props) {
  const { step } = await params;
  if (!isStep(step)) notFound();
  return <div className="wrap section"><CheckoutView step={step} /></div>;
}
