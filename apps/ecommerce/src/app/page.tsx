import Link from "next/link";
import { categories } from "@/catalogue/categories";
import { homeLists } from "@/catalogue/lists";
import { Flag } from "@/components/art/Flag";
import { ProductGrid } from "@/components/product/ProductGrid";
import { PromoHero } from "@/components/promo/Promotions";
import { FavouriteMark } from "@/components/reactions/FavouriteMark";
import { PageView } from "@/tracking/PageView";

export default function Home() {
  return (
    <>
      <PageView type="home" title="Oddharbour" />
      <PromoHero />
      <nav className="wrap hoist" aria-label="Departments, as flags">
        <ul>
          {categories.map((category) => (
            <li key={category.slug}>
              <Link href={`/category/${category.slug}`}>
                <Flag letter={category.name.charAt(0)} size={96} />
                <span>{category.name}</span>
                <FavouriteMark category={category.name} />
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      {homeLists.map((list, index) => (
        <section key={list.name} className="wrap section">
          <h2 id={`list-${index}`}>{list.name}</h2>
          <ProductGrid list={list} labelledBy={`list-${index}`} eager={index === 0} />
        </section>
      ))}
    </>
  );
}
