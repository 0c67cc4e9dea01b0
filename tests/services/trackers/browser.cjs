// The browser tracker and its e-commerce plugin in jsdom, against the collector. jsdom has no fetch:
// Node's stands in for it, with the preflight that a browser would make.
//
//   node browser.cjs URL FOLDER
//
// FOLDER holds events.jsonl and events.tsv, which the collector at URL writes.

const assert = require('node:assert');
const fs = require('node:fs');
const { JSDOM } = require('jsdom');

const [url, folder] = process.argv.slice(2);
const page = 'http://localhost:3000/product/p-1?utm_source=news&utm_campaign=spring';
const dom = new JSDOM('<!doctype html><title>Trail shoe</title>', {
  url: page,
  referrer: 'https://www.bing.com/search?q=shoes',
  pretendToBeVisual: true,
});
let underWay = 0;
const answers = [];
// A browser asks first, since the content type is JSON and cookies go along.
async function browserFetch(request, init) {
  underWay += 1;
  try {
    const origin = { Origin: 'http://localhost:3000' };
    const asked = await fetch(request.url ?? request, { method: 'OPTIONS', headers: origin });
    assert.equal(asked.headers.get('access-control-allow-origin'), origin.Origin);
    assert.equal(asked.headers.get('access-control-allow-credentials'), 'true');
    const given = request instanceof Request ? request : new Request(request, init);
    const answer = await fetch(given);
    answers.push(answer.status);
    return answer;
  } finally {
    underWay -= 1;
  }
}
const { window } = dom;
Object.assign(window, { fetch: browserFetch, Request, Headers, AbortController });
const globals = { window, document: window.document, localStorage: window.localStorage, self: window };
for (const [name, value] of Object.entries(globals)) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
Object.defineProperty(globalThis, 'navigator', { value: window.navigator, configurable: true });
Object.defineProperty(globalThis, 'location', { value: window.location, configurable: true });
Object.defineProperty(globalThis, 'screen', { value: window.screen, configurable: true });

const tracker = require('@snowplow/browser-tracker');
const shop = require('@snowplow/browser-plugin-snowplow-ecommerce');

async function settled() {
  for (let quiet = 0; quiet < 10; quiet += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (underWay > 0) quiet = 0;
  }
}

async function visit(eventMethod, postPath) {
  tracker.newTracker(`sp-${eventMethod}-${postPath ? 'own' : 'default'}`, url, {
    appId: 'shop',
    eventMethod,
    postPath,
    customFetch: browserFetch,
    contexts: { webPage: true, session: true, browser: true },
    plugins: [shop.SnowplowEcommercePlugin()],
  });
  tracker.setUserId('a@example.com');
  tracker.trackPageView();
  const product = { id: 'p-1', name: 'Trail shoe', category: 'shoes', price: 129.99, currency: 'EUR' };
  shop.trackProductView({ ...product });
  shop.trackProductListView({ products: [{ ...product }], name: 'New' });
  shop.trackAddToCart({ products: [{ ...product, quantity: 1 }], total_value: 129.99, currency: 'EUR' });
  shop.trackCheckoutStep({ step: 2 });
  shop.trackTransaction({
    transaction_id: 't-1',
    revenue: 129.99,
    currency: 'EUR',
    payment_method: 'card',
    total_quantity: 1,
    products: [{ ...product, quantity: 1 }],
  });
  shop.trackRefund({ transaction_id: 't-1', currency: 'EUR', refund_amount: 5, products: [] });
  await settled();
}

function check(events) {
  const kinds = ['page_view', 'product_view', 'list_view', 'add_to_cart', 'checkout_step', 'transaction', 'refund'];
  assert.deepEqual(events.map((event) => event.type).sort(), [...kinds].sort());
  const of = (kind) => events.find((event) => event.type === kind);
  const view = of('page_view');
  assert.equal(view.payload.page_url, page);
  assert.equal(view.payload.page_title, 'Trail shoe');
  assert.equal(view.enrich.marketing.mkt_campaign, 'spring');
  assert.deepEqual(view.enrich.referrer, { medium: 'search', source: 'Bing', term: 'shoes' });
  assert.equal(of('product_view').payload.product.price, 129.99);
  assert.equal(of('list_view').payload.list_name, 'New');
  assert.equal(of('list_view').payload.products.length, 1);
  assert.equal(of('add_to_cart').payload.cart.total_value, 129.99);
  assert.equal(of('checkout_step').payload.checkout_step.step, 2);
  assert.equal(of('transaction').payload.transaction.revenue, 129.99);
  assert.equal(of('refund').payload.refund.refund_amount, 5);
  for (const event of events) {
    assert.match(event.session.sessionId, /^[0-9a-f-]{36}$/);
    assert.match(event.enrich.user.domain_userid, /^[0-9a-f-]{36}$/);
    assert.equal(event.enrich.user.user_id, 'a@example.com');
    assert.equal(typeof event.enrich.client.browser.browserLanguage, 'string');
    assert.match(event.metadata.v_tracker, /^js-4/);
  }
}

async function main() {
  await visit('post');
  await visit('post', '/com.shop/events');
  await visit('get');
  const rows = fs.readFileSync(`${folder}/events.jsonl`, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  // On a slow machine the tracker may give up waiting and send again.
  const events = [...new Map(rows.map((row) => [row.id, row])).values()];
  // A call goes to every tracker that there is by then: each visit is looked at by its own.
  for (const [name, visits] of [['sp-post-default', 3], ['sp-post-own', 2], ['sp-get-default', 1]]) {
    const own = events.filter((event) => event.metadata.name_tracker === name);
    assert.equal(own.length, 7 * visits, name);
    check(own.slice(-7));
  }
  assert(answers.length > 0 && answers.every((status) => status === 200), String(answers));
  const lines = fs.readFileSync(`${folder}/events.tsv`, 'utf8').split('\n').slice(0, -1);
  assert.equal(lines.length, rows.length);
  for (const line of lines) {
    assert.equal(line.split('\t').length, 131);
  }
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
