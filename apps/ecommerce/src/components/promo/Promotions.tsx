import { HeroScene } from "@/components/art/HeroScene";
import { promotions } from "@/catalogue/promotions";
import { PromoLink } from "./PromoLink";

/** The slot above everything, on every page. */
export function PromoStrip() {
  const promotion = promotions.strip;
  return (
    <aside className="promo-strip" aria-label="Offer">
      <PromoLink promotion={promotion} className="promo-strip-link">
        <span>{promotion.title}</span> <b>{promotion.action}</b>
      </PromoLink>
    </aside>
  );
}

/** The slot at the top of the home page. */
export function PromoHero() {
  const promotion = promotions.hero;
  return (
    <section className="hero" aria-labelledby="hero-title">
      <HeroScene />
      <div className="wrap">
        <div className="hero-text">
          <h1 id="hero-title">{promotion.title}</h1>
          <p>{promotion.text}</p>
          <PromoLink promotion={promotion} className="button">{promotion.action}</PromoLink>
        </div>
      </div>
    </section>
  );
}

/** The slot among a category's products. */
export function PromoCard() {
  const promotion = promotions.card;
  return (
    <PromoLink promotion={promotion} className="promo-card">
      <strong>{promotion.title}</strong>
      <span>{promotion.text}</span>
      <b>{promotion.action} →</b>
    </PromoLink>
  );
}
