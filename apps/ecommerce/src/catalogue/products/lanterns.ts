import type { Product } from "../types";

export const lanterns: readonly Product[] = [
  {
    id: "jetty-lantern", name: "Jetty Lantern", category: "Lanterns", brand: "Kelpwright", priceCents: 6400, stock: "in stock",
    variant: "red enamel",
    description: "A storm lantern with a flame you can trust in a gust. Burns lamp oil for nineteen hours on one filling.",
    facts: ["Steel, enamelled", "19 hours a filling", "Spare wick in the base"],
    words: "lamp oil storm light red", picture: { shape: "lantern", colours: ["#e8503a", "#b5341f", "#ffd95a"] },
  },
  {
    id: "hatch-lantern", name: "Hatch Lantern", category: "Lanterns", brand: "Kelpwright", priceCents: 7250, stock: "in stock",
    variant: "sea green, electric",
    description: "The Jetty's shape with a lamp that charges by cable. Three brightnesses; the lowest is for finding your socks.",
    facts: ["LED, 40 to 350 lm", "60 hours on low", "Charges by USB-C"],
    words: "lamp led electric rechargeable light green", picture: { shape: "lantern", colours: ["#4fb3a5", "#2e8479", "#fff3b8"] },
  },
  {
    id: "driftwax-candle", name: "Driftwax Candle", category: "Lanterns", brand: "Doctor Barnacle", priceCents: 1850, stock: "in stock",
    variant: "smoke and juniper",
    description: "Rapeseed wax poured in a stoneware cup that becomes your tooth mug when the candle is gone.",
    facts: ["Rapeseed wax, 220 g", "45 hours", "Cup is dishwasher-safe"],
    words: "wax scented light gift", picture: { shape: "candle", colours: ["#e9dfc7", "#c9b68c", "#ffb02e"] },
  },
  {
    id: "foghorn-candle", name: "Foghorn Pillar", category: "Lanterns", brand: "Doctor Barnacle", priceCents: 1295, listPriceCents: 1695,
    stock: "in stock", variant: "striped red",
    description: "A stout pillar in lighthouse stripes. Unscented, because fog is.",
    facts: ["Stearin, 600 g", "70 hours", "Unscented"],
    words: "candle wax red white stripes light", picture: { shape: "pillar", colours: ["#ffffff", "#e8503a", "#ffb02e"] },
  },
  {
    id: "winch-torch", name: "Winch Torch", category: "Lanterns", brand: "Gannetworks", priceCents: 3900, stock: "low stock",
    variant: "yellow",
    description: "No battery to go flat: a minute of cranking gives twenty of light. Floats with the beam up.",
    facts: ["Hand crank", "120 lm", "Watertight to 5 m"],
    words: "flashlight light crank yellow", picture: { shape: "torch", colours: ["#ffc933", "#c98c00", "#fff3b8"] },
  },
  {
    id: "regatta-lights", name: "Regatta String Lights", category: "Lanterns", brand: "Tern Left", priceCents: 4450, stock: "in stock",
    variant: "ten small flags",
    description: "Ten paper flags, each with a warm light behind it. Hangs across a balcony or a rather large bunk.",
    facts: ["10 LEDs, 6 m", "Indoors and under eaves", "Paper of recycled charts"],
    words: "festoon fairy lights party garland", picture: { shape: "festoon", colours: ["#e8503a", "#ffc933", "#8fc7ef"] },
  },
  {
    id: "keeper-lamp", name: "Keeper's Night Lamp", category: "Lanterns", brand: "Tern Left", priceCents: 5200, stock: "in stock",
    variant: "lighthouse",
    description: "A lighthouse the height of a bottle. It turns once in twelve seconds, and children are asleep after four.",
    facts: ["Beech and paper", "Turns, without a sound", "Off after 45 minutes"],
    words: "lighthouse lamp children night light gift", picture: { shape: "lighthouse", colours: ["#ffffff", "#e8503a", "#ffd95a"] },
  },
];
