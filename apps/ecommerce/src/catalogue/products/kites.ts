import type { Product } from "../types";

export const kites: readonly Product[] = [
  {
    id: "herring-kite", name: "Flying Herring Kite", category: "Kites", brand: "Loud Herring", priceCents: 3450, stock: "in stock",
    variant: "red and white",
    description: "A diamond kite with a tail of seven bows. It goes up in the wind that is just too cold for sitting.",
    facts: ["Spinnaker nylon", "From 10 km/h of wind", "50 m of line"],
    words: "fly wind diamond toy children red", picture: { shape: "kite", colours: ["#e8503a", "#ffffff", "#12355b"] },
  },
  {
    id: "signal-kite", name: "Signal Kite K", category: "Kites", brand: "Tern Left", priceCents: 3995, listPriceCents: 4995,
    stock: "in stock", variant: "yellow and blue",
    description: "Half yellow, half blue: the flag for 'I wish to speak with you'. Useful on a wide beach.",
    facts: ["Spinnaker nylon", "From 12 km/h of wind", "60 m of line"],
    words: "fly wind diamond flag toy yellow blue", picture: { shape: "kite", colours: ["#ffc933", "#2f6db5", "#e8503a"] },
  },
  {
    id: "petrel-delta", name: "Petrel Delta", category: "Kites", brand: "Gannetworks", priceCents: 6850, stock: "in stock",
    variant: "ink and foam",
    description: "Two lines, two hands, and a sound like a sheet being torn. Learn on grass before you try it near the regatta.",
    facts: ["Two lines, 30 m", "Carbon spars", "15 to 40 km/h of wind"],
    words: "stunt sport fly wind black", picture: { shape: "delta", colours: ["#12355b", "#ffffff", "#e8503a"] },
  },
  {
    id: "parcel-kite", name: "Parcel Box Kite", category: "Kites", brand: "Kelpwright", priceCents: 5400, stock: "in stock",
    variant: "red cells",
    description: "A box kite after the old weather stations. Steady enough to hang a camera from; we do not say that you should.",
    facts: ["Beech and cotton", "Packs flat", "From 18 km/h of wind"],
    words: "fly wind cellular red", picture: { shape: "boxkite", colours: ["#e8503a", "#ffe9e2", "#0b2036"] },
  },
  {
    id: "gust-sock", name: "Gust Windsock", category: "Kites", brand: "Pale Otter", priceCents: 2250, stock: "in stock",
    variant: "red and white rings",
    description: "Tells you what the wind does before you leave the house. One and a half metres, on a bearing that does not squeak.",
    facts: ["150 cm", "Brass bearing", "UV-proof nylon"],
    words: "wind garden flag red white", picture: { shape: "windsock", colours: ["#e8503a", "#ffffff", "#0b2036"] },
  },
  {
    id: "catspaw-pinwheel", name: "Catspaw Pinwheel", category: "Kites", brand: "Tern Left", priceCents: 1150, stock: "out of stock",
    variant: "four colours",
    description: "Named after the first ripple on still water, for that is all the wind it needs.",
    facts: ["Paper and brass", "40 cm stick", "Assembled in Oddharbour"],
    words: "windmill toy children garden", picture: { shape: "pinwheel", colours: ["#e8503a", "#ffc933", "#12355b"] },
  },
];
