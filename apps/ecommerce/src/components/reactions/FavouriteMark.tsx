"use client";

import { topCategory } from "@/live/rules";
import { useFeature } from "@/live/store";

/** A badge on the category that the shopper browses most, as the engine tells. It takes no room from what is there. */
export function FavouriteMark({ category }: { category: string }) {
  const top = useFeature(topCategory);
  if (top !== category) return null;
  return <span className="favourite" data-testid="favourite">★<span className="visually-hidden"> your favourite department</span></span>;
}
