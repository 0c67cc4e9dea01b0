import type { Product } from "../types";

export const charts: readonly Product[] = [
  {
    id: "oddharbour-chart", name: "Chart of Oddharbour", category: "Charts", brand: "Tern Left", priceCents: 2600, stock: "in stock",
    variant: "blue water",
    description: "The whole bay at 1 : 20,000 with every rock that we know of. Not for navigation: the bay does not exist.",
    facts: ["70 × 100 cm, folded", "Tear-proof paper", "Five inks"],
    words: "map paper print wall blue", picture: { shape: "map", colours: ["#8fc7ef", "#e3c66a", "#d93a2b"] },
  },
  {
    id: "inland-chart", name: "Chart of the Marshes", category: "Charts", brand: "Tern Left", priceCents: 2600, listPriceCents: 3200,
    stock: "in stock", variant: "green land",
    description: "Paths, dykes, two ferries and a bench. For walks that end where the other chart begins.",
    facts: ["70 × 100 cm, folded", "Tear-proof paper", "Walks marked by hours"],
    words: "map paper print wall green walking", picture: { shape: "map", colours: ["#a9d3a0", "#5fa8d3", "#0b2036"] },
  },
  {
    id: "log-book", name: "Log Book", category: "Charts", brand: "Kelpwright", priceCents: 1650, stock: "in stock",
    variant: "red cloth",
    description: "Ruled for date, wind, weather and what happened. If nothing happened, write that.",
    facts: ["A5, 192 pages", "Thread-bound", "Opens flat"],
    words: "notebook diary paper journal red", picture: { shape: "notebook", colours: ["#d93a2b", "#ffffff", "#ffc933"] },
  },
  {
    id: "sighting-book", name: "Sighting Book", category: "Charts", brand: "Gannetworks", priceCents: 1850, stock: "in stock",
    variant: "blue cloth",
    description: "For birds, ships and unlikely clouds. Dotted pages, and a silhouette table at the back to be sure.",
    facts: ["A5, 160 pages", "Dotted", "Silhouettes at the back"],
    words: "notebook diary paper journal birds blue", picture: { shape: "notebook", colours: ["#12355b", "#8fc7ef", "#e8503a"] },
  },
  {
    id: "pocket-compass", name: "Pocket Compass", category: "Charts", brand: "Nine Knots & a Half", priceCents: 4400, stock: "in stock",
    variant: "brass",
    description: "Settles in three seconds and then has no doubts at all. Lid with a mirror, for signals and for spinach.",
    facts: ["Brass, 52 mm", "Oil-damped", "Luminous north"],
    words: "needle north brass navigation", picture: { shape: "compass", colours: ["#e3b23c", "#ffffff", "#d93a2b"] },
  },
  {
    id: "tide-clock", name: "Tide Clock", category: "Charts", brand: "Doctor Barnacle", priceCents: 6950, stock: "low stock",
    variant: "ink face",
    description: "One hand, once around in twelve hours and twenty-five minutes: high water at the top, shells at the bottom.",
    facts: ["Oak rim, 24 cm", "One AA cell a year", "Set once, at high water"],
    words: "wall watch time moon blue", picture: { shape: "clock", colours: ["#12355b", "#8fc7ef", "#ffc933"] },
  },
];
