import type { Product } from "../types";

const SIZES = ["XS", "S", "M", "L", "XL"] as const;
const FEET = ["37", "38", "39", "40", "41", "42", "43", "44", "45"] as const;

export const rainwear: readonly Product[] = [
  {
    id: "squall-coat", name: "Squall Coat", category: "Rainwear", brand: "Loud Herring", priceCents: 18900, stock: "in stock",
    sizes: SIZES, variant: "signal yellow",
    description: "The long one. Knee-length waxed cotton, a storm flap over the buttons, and pockets that drain by themselves.",
    facts: ["Waxed cotton, 340 g/m²", "Taped seams", "Hood rolls into the collar"],
    words: "jacket raincoat parka waterproof yellow", picture: { shape: "coat", colours: ["#f6b700", "#c98c00", "#0b2036"] },
  },
  {
    id: "drizzle-jacket", name: "Drizzle Jacket", category: "Rainwear", brand: "Pale Otter", priceCents: 12450, listPriceCents: 14900,
    stock: "in stock", sizes: SIZES, variant: "harbour blue",
    description: "Light enough to forget in a bag, and to be glad of in a tram queue. Packs into its own left pocket.",
    facts: ["Recycled nylon, 110 g/m²", "280 g in size M", "Packs to the size of an orange"],
    words: "coat raincoat light packable blue waterproof", picture: { shape: "coat", colours: ["#2f6db5", "#1d4c86", "#ffc933"] },
  },
  {
    id: "puddle-boots", name: "Puddle Boots", category: "Rainwear", brand: "Loud Herring", priceCents: 7995, stock: "in stock",
    sizes: FEET, variant: "buoy red",
    description: "Natural rubber with a lining that dries overnight. The sole is cut like a tide pool: it holds on wet rock.",
    facts: ["Natural rubber", "Cotton lining", "Heel loop for pulling on"],
    words: "wellies wellingtons shoes rubber red", picture: { shape: "boots", colours: ["#d93a2b", "#a4261a", "#ffffff"] },
  },
  {
    id: "mudflat-boots", name: "Mudflat Boots", category: "Rainwear", brand: "Brinebury", priceCents: 9450, stock: "low stock",
    sizes: FEET, variant: "eelgrass",
    description: "Higher, wider, and hard to pull off in mud, which is the idea. A side buckle takes in the calf.",
    facts: ["Natural rubber", "Side buckle", "Reinforced toe"],
    words: "wellies wellingtons shoes rubber green", picture: { shape: "boots", colours: ["#2f7d5b", "#1c573d", "#ffc933"] },
  },
  {
    id: "lookout-hat", name: "Lookout Sou'wester", category: "Rainwear", brand: "Gannetworks", priceCents: 3450, stock: "in stock",
    sizes: ["S", "M", "L"], variant: "lifebuoy orange",
    description: "Short in front, long behind, so that the rain goes where your neck is not. Ear flaps button up.",
    facts: ["Oiled cotton", "Ear flaps", "Chin cord"],
    words: "hat cap souwester orange rain", picture: { shape: "souwester", colours: ["#f08a24", "#b9620f", "#12355b"] },
  },
  {
    id: "deckhand-hat", name: "Deckhand Bucket Hat", category: "Rainwear", brand: "Pale Otter", priceCents: 2895, listPriceCents: 3495,
    stock: "in stock", sizes: ["S", "M", "L"], variant: "chalk",
    description: "A small brim for small rain. Folds flat, and floats if it goes overboard.",
    facts: ["Coated cotton", "Floats", "Folds flat"],
    words: "hat cap white rain", picture: { shape: "souwester", colours: ["#ffffff", "#c9d6dd", "#d93a2b"] },
  },
  {
    id: "gale-umbrella", name: "Gale Umbrella", category: "Rainwear", brand: "Gannetworks", priceCents: 5600, stock: "in stock",
    variant: "red and white",
    description: "Eight ribs of glass fibre that turn inside out, and back again, without a sound of complaint.",
    facts: ["Glass-fibre ribs", "Ash handle", "104 cm across"],
    words: "brolly parasol storm red white", picture: { shape: "umbrella", colours: ["#d93a2b", "#ffffff", "#0b2036"] },
  },
];
