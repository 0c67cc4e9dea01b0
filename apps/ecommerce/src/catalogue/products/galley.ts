import type { Product } from "../types";

export const galley: readonly Product[] = [
  {
    id: "slack-tide-kettle", name: "Slack Tide Kettle", category: "Galley", brand: "Brinebury", priceCents: 5995, stock: "in stock",
    variant: "ink blue enamel",
    description: "A wide base that sits still on a stove that does not. Whistles a falling third when it boils.",
    facts: ["Enamelled steel, 1.8 l", "All hobs and open fire", "Whistle comes off"],
    words: "tea pot boil blue", picture: { shape: "kettle", colours: ["#12355b", "#0b2036", "#ffc933"] },
  },
  {
    id: "first-watch-kettle", name: "First Watch Kettle", category: "Galley", brand: "Brinebury", priceCents: 5450, listPriceCents: 6450,
    stock: "in stock", variant: "red enamel",
    description: "The smaller sister, for one person and a biscuit. Boils in the time it takes to find the biscuit.",
    facts: ["Enamelled steel, 1.0 l", "All hobs and open fire", "Handle stays cool"],
    words: "tea pot boil red small", picture: { shape: "kettle", colours: ["#d93a2b", "#a4261a", "#ffffff"] },
  },
  {
    id: "bosun-mug", name: "Bosun Mug", category: "Galley", brand: "Nine Knots & a Half", priceCents: 1450, stock: "in stock",
    variant: "white with a red rim",
    description: "An enamel mug for hands in gloves. Dents are part of the design and will be added by you.",
    facts: ["Enamelled steel, 350 ml", "Dishwasher-safe", "Stacks"],
    words: "cup coffee tea enamel white", picture: { shape: "mug", colours: ["#ffffff", "#c9d6dd", "#d93a2b"] },
  },
  {
    id: "anchorage-mug", name: "Anchorage Mug", category: "Galley", brand: "Doctor Barnacle", priceCents: 1995, stock: "in stock",
    variant: "glazed in two blues",
    description: "Stoneware, thrown heavy at the foot so that it stays where you put it. No two waterlines are the same.",
    facts: ["Stoneware, 300 ml", "Microwave-safe", "Glazed by hand"],
    words: "cup coffee tea stoneware blue", picture: { shape: "mug", colours: ["#2f6db5", "#12355b", "#e9dfc7"] },
  },
  {
    id: "long-passage-flask", name: "Long Passage Flask", category: "Galley", brand: "Gannetworks", priceCents: 3650, stock: "in stock",
    variant: "yellow",
    description: "Keeps soup hot from Monday's sandwiches to Tuesday's regrets. The lid is two cups, for company.",
    facts: ["Steel, 750 ml", "Hot for 24 hours", "Two cups in the lid"],
    words: "thermos bottle hot yellow", picture: { shape: "flask", colours: ["#ffc933", "#d69a00", "#0b2036"] },
  },
  {
    id: "low-water-pan", name: "Low Water Pan", category: "Galley", brand: "Nine Knots & a Half", priceCents: 8900, stock: "low stock",
    variant: "cast iron",
    description: "For pancakes, flounder and settling arguments. Comes seasoned; never needs soap.",
    facts: ["Cast iron, 26 cm", "2.4 kg", "Fifty-year promise"],
    words: "frying skillet iron cook black", picture: { shape: "pan", colours: ["#1f2f3d", "#0b2036", "#ffd95a"] },
  },
  {
    id: "rockpool-bowl", name: "Rockpool Bowl", category: "Galley", brand: "Doctor Barnacle", priceCents: 2400, stock: "in stock",
    variant: "sea green",
    description: "Deep enough for chowder. At the bottom there is a small crab, in glaze, for those who finish.",
    facts: ["Stoneware, 16 cm", "Dishwasher-safe", "One crab each"],
    words: "dish soup stoneware green crab", picture: { shape: "bowl", colours: ["#2f7d73", "#1f5a52", "#e8503a"] },
  },
];
