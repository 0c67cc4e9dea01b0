import type { Product } from "../types";

const SIZES = ["XS", "S", "M", "L", "XL"] as const;

export const woollens: readonly Product[] = [
  {
    id: "pilot-jumper", name: "Pilot Jumper", category: "Woollens", brand: "Brinebury", priceCents: 14900, stock: "in stock",
    sizes: SIZES, variant: "navy with white bands",
    description: "Five-ply wool in a stitch so tight that it stands up by itself for the first week.",
    facts: ["Wool, five-ply", "No side seams", "Elbows knit double"],
    words: "sweater pullover knit navy blue", picture: { shape: "jumper", colours: ["#12355b", "#ffffff", "#0b2036"] },
  },
  {
    id: "shingle-jumper", name: "Shingle Jumper", category: "Woollens", brand: "Pale Otter", priceCents: 13250, listPriceCents: 15900,
    stock: "in stock", sizes: SIZES, variant: "oat with yellow bands",
    description: "Softer, looser, undyed. Three bands of yellow so that you are found in the dunes.",
    facts: ["Lambswool", "Undyed ground", "Hand wash, lie flat"],
    words: "sweater pullover knit beige natural", picture: { shape: "jumper", colours: ["#e9dfc7", "#ffc933", "#b8a678"] },
  },
  {
    id: "quay-scarf", name: "Quay Scarf", category: "Woollens", brand: "Nine Knots & a Half", priceCents: 4900, stock: "in stock",
    variant: "blue stripes",
    description: "Two metres ten: once around for going, twice around for coming back.",
    facts: ["Lambswool", "210 × 28 cm", "Knotted fringe"],
    words: "shawl knit stripes blue", picture: { shape: "scarf", colours: ["#2f6db5", "#ffffff", "#0b2036"] },
  },
  {
    id: "mooring-beanie", name: "Mooring Bobble Hat", category: "Woollens", brand: "Loud Herring", priceCents: 3200, stock: "in stock",
    variant: "yellow, blue bobble",
    description: "Ribbed, with a bobble the size of a small buoy. The bobble buttons off for funerals.",
    facts: ["Merino", "Bobble comes off", "One size"],
    words: "hat beanie cap knit yellow", picture: { shape: "beanie", colours: ["#ffc933", "#12355b", "#ffffff"] },
  },
  {
    id: "bilge-socks", name: "Bilge Socks", category: "Woollens", brand: "Brinebury", priceCents: 1895, stock: "in stock",
    sizes: ["36–39", "40–43", "44–47"], variant: "white and navy rings",
    description: "Terry inside, rings outside. Warm when they are wet, which they will be.",
    facts: ["Wool 80 %, nylon 20 %", "Terry foot", "Wash at 40 °C"],
    words: "sock feet knit stripes navy", picture: { shape: "socks", colours: ["#ffffff", "#12355b", "#ffc933"] },
  },
  {
    id: "dogwatch-socks", name: "Dogwatch Socks", category: "Woollens", brand: "Pale Otter", priceCents: 1695, stock: "low stock",
    sizes: ["36–39", "40–43", "44–47"], variant: "yellow and black",
    description: "Bed socks for people who get up at four. Non-slip dots on the sole, in the shape of paws.",
    facts: ["Merino", "Non-slip sole", "Wash at 30 °C"],
    words: "sock feet bed knit yellow", picture: { shape: "socks", colours: ["#ffc933", "#0b2036", "#ffffff"] },
  },
  {
    id: "berth-blanket", name: "Berth Blanket", category: "Woollens", brand: "Kelpwright", priceCents: 11900, stock: "in stock",
    variant: "check in blue",
    description: "Woven for a bunk and bought for sofas. Blanket stitch in red along the edge, as it should be.",
    facts: ["Wool, 150 × 200 cm", "1.4 kg", "Woven, not printed"],
    words: "throw plaid bed sofa check blue", picture: { shape: "blanket", colours: ["#8fc7ef", "#12355b", "#ffffff"] },
  },
];
