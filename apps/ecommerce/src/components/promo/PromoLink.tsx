"use client";

import Link from "next/link";
import { type ReactNode, useRef } from "react";
import type { Promotion } from "@/catalogue/types";
import { promotionEntity } from "@/tracking/payloads";
import { shop } from "@/tracking/tracker";
import { useSeen } from "@/tracking/useSeen";

/** A promotion's link: tells when it is seen and when it is followed. */
export function PromoLink({ promotion, className, children }: { promotion: Promotion; className: string; children: ReactNode }) {
  const ref = useRef<HTMLAnchorElement>(null);
  useSeen(ref, promotion.id, () => shop.promotionView(promotionEntity(promotion)));
  return (
    <Link ref={ref} href={promotion.href} className={className} onClick={() => shop.promotionClick(promotionEntity(promotion))}>
      {children}
    </Link>
  );
}
