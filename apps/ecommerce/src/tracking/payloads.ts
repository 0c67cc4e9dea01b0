import type {
  Cart as CartEntity, CheckoutStep, ListClickEvent, ListViewEvent, Product as ProductEntity, Refund, SPPromotion, SPTransaction, TransactionError,
} from "@snowplow/browser-plugin-snowplow-ecommerce";
import { COUPON, type Order, type OrderLine } from "@/cart/order";
import { type Cart, cartTotalCents } from "@/cart/cart";
import { type Draft, steps, type Step } from "@/cart/checkout";
import { deliveryById } from "@/cart/delivery";
import { CURRENCY, toAmount } from "@/catalogue/money";
import { productById } from "@/catalogue/products";
import type { Product, ProductList, Promotion } from "@/catalogue/types";

/** A payload for one call. The plugin pushes into `context`, so every payload brings an array of its own. */
export type Call<T> = T & { context: [] };

function call<T extends object>(payload: T): Call<T> {
  return { ...payload, context: [] };
}

type Extras = { quantity?: number | undefined; size?: string | undefined; position?: number | undefined };

/** The product entity: amounts with two decimals, and no key without a value. */
export function productEntity(product: Product, extras: Extras = {}): ProductEntity {
  return {
    id: product.id,
    name: product.name,
    category: product.category,
    brand: product.brand,
    variant: product.variant,
    price: toAmount(product.priceCents),
    ...(product.listPriceCents === undefined ? {} : { list_price: toAmount(product.listPriceCents) }),
    inventory_status: product.stock,
    currency: CURRENCY,
    ...(extras.size ? { size: extras.size } : {}),
    ...(extras.quantity === undefined ? {} : { quantity: extras.quantity }),
    ...(extras.position === undefined ? {} : { position: extras.position }),
  };
}

/** A product page was opened. */
export function productViewed(product: Product): Call<ProductEntity> {
  return call(productEntity(product));
}

/** A list came into sight; positions count from 1. */
export function listViewed(list: ProductList): Call<ListViewEvent> {
  return call({ name: list.name, products: list.products.map((product, index) => productEntity(product, { position: index + 1 })) });
}

/** A product of a list was clicked; `position` counts from 1. */
export function listClicked(listName: string, product: Product, position: number): Call<ListClickEvent> {
  return call({ name: listName, product: productEntity(product, { position }) });
}

type Change = { product: Product; size?: string | undefined; quantity: number };

function cartChange(change: Change, after: Cart): Call<CartEntity> {
  return call({
    cart_id: after.id,
    total_value: toAmount(cartTotalCents(after)),
    currency: CURRENCY,
    products: [productEntity(change.product, { quantity: change.quantity, size: change.size })],
  });
}

/** Pieces went in. `after` is the cart with them. */
export const addedToCart = cartChange;

/** Pieces went out. `after` is the cart without them. */
export const removedFromCart = cartChange;

/** A promotion, as shown or clicked. */
export function promotionEntity(promotion: Promotion): Call<SPPromotion> {
  return call({
    id: promotion.id,
    name: promotion.name,
    creative_id: promotion.creativeId,
    type: promotion.type,
    slot: promotion.slot,
    position: promotion.position,
    ...(promotion.productIds.length === 0 ? {} : { product_ids: [...promotion.productIds] }),
  });
}

/** A step of the checkout was entered, with what was filled in before. No address leaves the browser, a postcode does. */
export function checkoutStep(step: Step, draft: Draft, loggedIn: boolean): Call<CheckoutStep> {
  const number = steps.indexOf(step) + 1;
  const delivery = draft.deliveryId ? deliveryById(draft.deliveryId) : undefined;
  return call({
    step: number,
    account_type: loggedIn ? "existing user" : "guest checkout",
    ...(number > 1 ? { shipping_postcode: draft.postcode.trim(), billing_postcode: draft.postcode.trim(), marketing_opt_in: draft.newsletter } : {}),
    ...(number > 2 && delivery ? { delivery_provider: delivery.provider, delivery_method: delivery.method } : {}),
    ...(number > 3 && draft.paymentMethod ? { payment_method: draft.paymentMethod } : {}),
    ...(draft.coupon ? { coupon_code: draft.coupon } : {}),
  });
}

function boughtProducts(lines: readonly OrderLine[]): ProductEntity[] {
  return lines.flatMap((line) => {
    const product = productById(line.productId);
    return product ? [productEntity(product, { quantity: line.quantity, size: line.size })] : [];
  });
}

function transactionEntity(order: Order): SPTransaction {
  return {
    transaction_id: order.id,
    revenue: toAmount(order.totals.payCents),
    currency: CURRENCY,
    payment_method: order.paymentMethod,
    total_quantity: order.lines.reduce((sum, line) => sum + line.quantity, 0),
    tax: toAmount(order.totals.taxCents),
    shipping: toAmount(order.totals.deliveryCents),
    credit_order: order.paymentMethod === "invoice",
    ...(order.coupon === COUPON.code ? { discount_code: order.coupon, discount_amount: toAmount(order.totals.discountCents) } : {}),
  };
}

/** An order was placed. */
export function transactionMade(order: Order): Call<SPTransaction> {
  return call({ ...transactionEntity(order), products: boughtProducts(order.lines) });
}

/** A payment was declined. */
export function transactionFailed(order: Order): Call<TransactionError> {
  return call({
    error_code: "card_declined",
    error_shortcode: "declined",
    error_description: "The card has no money on it.",
    error_type: "soft" as const,
    resolution: "Choose another way to pay.",
    transaction: transactionEntity(order),
  });
}

/** Lines of an order are given back. */
export function refundMade(order: Order, lines: readonly OrderLine[], refundCents: number, reason: string): Call<Refund> {
  return call({
    transaction_id: order.id,
    currency: CURRENCY,
    refund_amount: toAmount(refundCents),
    refund_reason: reason,
    products: boughtProducts(lines),
  });
}
