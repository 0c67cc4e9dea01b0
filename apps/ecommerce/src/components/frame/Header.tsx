import Form from "next/form";
import Link from "next/link";
import { Flag, FlagWord } from "@/components/art/Flag";
import { FavouriteMark } from "@/components/reactions/FavouriteMark";
import { QUERY_MAX } from "@/catalogue/search";
import { categories } from "@/catalogue/categories";
import { AccountLink } from "./AccountLink";
import { CartLink } from "./CartLink";

/** The head of every page: name, search, account, cart, departments. */
export function Header() {
  return (
    <header className="header">
      <div className="wrap header-row">
        <Link href="/" className="brand">
          <FlagWord word="ODDHARBOUR" />
          <span className="brand-name">Oddharbour</span>
        </Link>
        <Form action="/search" className="search" role="search">
          <label className="visually-hidden" htmlFor="search-field">Search the shop</label>
          <input id="search-field" type="search" name="q" placeholder="Kettle, red, herring…" maxLength={QUERY_MAX} required enterKeyHint="search" />
          <button type="submit">Search</button>
        </Form>
        <div className="header-links">
          <AccountLink />
          <CartLink />
        </div>
      </div>
      <nav className="departments" aria-label="Departments">
        <ul className="wrap">
          {categories.map((category) => (
            <li key={category.slug}>
              <Link href={`/category/${category.slug}`}>
                <Flag letter={category.name.charAt(0)} size={16} />
                {category.name}
                <FavouriteMark category={category.name} />
              </Link>
            </li>
          ))}
        </ul>
      </nav>
    </header>
  );
}
