/** A drawing in a square of 400 by 400, from three colours: the body, its shade, an accent. */
export type Shape = (body: string, shade: string, accent: string) => string;

/** The line colour that all drawings share. */
export const INK = "#0b2036";

/** `count` pieces of markup, each made from its index. */
export function repeat(count: number, piece: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => piece(index)).join("");
}

/** A number with at most one decimal, so that files stay small. */
export function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}
