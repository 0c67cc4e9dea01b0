import type { Metadata } from "next";
import { OrderView } from "@/components/checkout/OrderView";
import { PageView } from "@/tracking/PageView";

type Props = { params: Promise<{ id: string }> };

export const metadata: Metadata = { title: "Your order", robots: { index: false } };

export default async function OrderPage({ params }: Props) {
  const { id } = await params;
  return (
    <div className="wrap section">
      <PageView type="confirmation" title="Your order" of={id} />
      <OrderView id={id} />
    </div>
  );
}
