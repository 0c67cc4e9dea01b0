import Link from "next/link";
import { FlagWord } from "@/components/art/Flag";
import { Waves } from "@/components/art/Waves";
import { categories } from "@/catalogue/categories";

/** The foot of every page. It says what this shop is. */
export function Footer() {
  return (
    <footer className="footer">
      <Waves colour="#0b2036" />
      <div className="footer-body">
        <div className="wrap footer-row">
          <div>
            <FlagWord word="ODDHARBOUR" size={16} />
            <p>Goods for shore, weather and idle hours.</p>
          </div>
          <p className="footer-note">
            This shop is a demonstration. Its goods, brands and prices are made up, and nothing is sold or sent. What you do here becomes
            events; Tidewheel turns them into features while you watch.
          </p>
          <nav aria-label="Departments, again">
            <ul>
              {categories.map((category) => (
                <li key={category.slug}><Link href={`/category/${category.slug}`}>{category.name}</Link></li>
              ))}
            </ul>
          </nav>
        </div>
      </div>
    </footer>
  );
}
