import type { Category } from "./types";

/** The six departments, in the order of the navigation. */
export const categories: readonly Category[] = [
  {
    slug: "rainwear",
    name: "Rainwear",
    blurb: "For weather that comes sideways. Taped, waxed, and long enough to sit on.",
    field: "#ffc933",
    onField: "#0b2036",
  },
  {
    slug: "lanterns",
    name: "Lanterns",
    blurb: "Light for jetties, tents, power cuts and late chapters.",
    field: "#12355b",
    onField: "#ffffff",
  },
  {
    slug: "galley",
    name: "Galley",
    blurb: "Enamel, steel and stoneware that do not mind being knocked about.",
    field: "#a9dcd3",
    onField: "#0b2036",
  },
  {
    slug: "kites",
    name: "Kites",
    blurb: "Things that fly, spin and flap. String included, wind is not.",
    field: "#8fc7ef",
    onField: "#0b2036",
  },
  {
    slug: "woollens",
    name: "Woollens",
    blurb: "Thick knits for thin winds. They get better when they get old.",
    field: "#f0705a",
    onField: "#0b2036",
  },
  {
    slug: "charts",
    name: "Charts",
    blurb: "Paper for finding out where you are, and for writing down what you saw.",
    field: "#e9dfc7",
    onField: "#0b2036",
  },
];

/** The category with this address, if there is one. */
export function categoryBySlug(slug: string): Category | undefined {
  return categories.find((category) => category.slug === slug);
}

/** The category with this name, if there is one. */
export function categoryByName(name: string): Category | undefined {
  return categories.find((category) => category.name === name);
}
