"use client";

import { usePathname } from "next/navigation";
import { useStored } from "@/cart/useStored";
import { productById } from "@/catalogue/products";
import { needsHelp, wavers } from "@/live/rules";
import { useFeature } from "@/live/store";
import { CartReminder } from "./CartReminder";
import { dismissedStore } from "./dismissed";
import { HelpOffer } from "./HelpOffer";

/** The corner where the shop answers to features. Empty without them. */
export function Notes() {
  const path = usePathname();
  const dismissed = useStored(dismissedStore);
  const product = productById(/^\/product\/([^/]+)$/.exec(path)?.[1] ?? "");
  const help = useFeature((features) => product !== undefined && needsHelp(features, product.id));
  const wavering = useFeature(wavers);
  return (
    <div className="notes">
      {help && product && !dismissed.includes(`help:${product.id}`) && <HelpOffer product={product} />}
      {wavering && !path.startsWith("/checkout") && !dismissed.includes("cart-reminder") && <CartReminder />}
    </div>
  );
}
