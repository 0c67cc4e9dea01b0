import type { Promotion } from "./types";

/** What the shop promotes, one for each slot. */
export const promotions = {
  hero: {
    id: "promo-equinox", name: "Equinox gales", creativeId: "hero-swell", type: "hero", slot: "home_hero", position: 1,
    productIds: ["squall-coat", "puddle-boots", "gale-umbrella"], href: "/category/rainwear",
    title: "The equinox is coming. It is bringing weather.",
    text: "Coats, boots and an umbrella that argues back. Made up for this shop, drawn by hand, in code.",
    action: "See rainwear",
  },
  strip: {
    id: "promo-springtide", name: "Spring tide 10 %", creativeId: "strip-code", type: "strip", slot: "top_strip", position: 1,
    productIds: [], href: "/category/kites",
    title: "Spring tide: 10 % off, code SPRINGTIDE",
    text: "", action: "Start with a kite",
  },
  card: {
    id: "promo-lights-out", name: "Lights out", creativeId: "card-beam", type: "card", slot: "category_card", position: 1,
    productIds: ["keeper-lamp", "jetty-lantern"], href: "/product/keeper-lamp",
    title: "The evenings draw in.",
    text: "A lighthouse for the bedside, with twelve seconds to the turn.",
    action: "Meet the keeper",
  },
} as const satisfies Record<string, Promotion>;
