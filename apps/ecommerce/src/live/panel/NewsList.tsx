import type { Feature, News } from "../state";
import { ago, changeText, featureName, windowName } from "../words";

/** The newest changes, as a short list. */
export function NewsList({ news, features, now }: { news: readonly News[]; features: ReadonlyMap<string, Feature>; now: number }) {
  return (
    <section className="news" aria-label="Just changed">
      <h3>Just changed</h3>
      {news.length === 0 && <p className="news-none">Nothing yet. Look at a product, or put one into the cart.</p>}
      <ol>
        {news.map((item) => {
          const feature = features.get(item.id);
          if (!feature) return null;
          const window = windowName(feature.window);
          const [from, to] = changeText(feature.column, item.from, item.to);
          return (
            <li key={`${item.id}@${item.at}`}>
              <span>{featureName(feature.column)}{window && <small> {window}</small>}</span>
              <span className="news-values"><span>{from}</span> → <b>{to}</b></span>
              <time>{ago(now - item.at)}</time>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
