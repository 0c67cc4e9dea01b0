import assert from "node:assert/strict";
import { entities, type Json, type Sent } from "./collector";

const ECOMMERCE = "iglu:com.snowplowanalytics.snowplow.ecommerce";

type Kind = "text" | "whole" | "money" | "flag" | "texts" | "currency";
type Shape = { required: readonly string[]; fields: Readonly<Record<string, Kind>> };

/** The e-commerce entities, version 1-0-0: what each must and may hold. No other key is allowed. */
const SHAPES: Readonly<Record<string, Shape>> = {
  product: {
    required: ["id", "category", "price", "currency"],
    fields: {
      id: "text", name: "text", category: "text", price: "money", list_price: "money", quantity: "whole", size: "text", variant: "text",
      brand: "text", inventory_status: "text", position: "whole", currency: "currency", creative_id: "text",
    },
  },
  cart: { required: ["total_value", "currency"], fields: { cart_id: "text", total_value: "money", currency: "currency" } },
  transaction: {
    required: ["transaction_id", "revenue", "currency", "payment_method", "total_quantity"],
    fields: {
      transaction_id: "text", revenue: "money", currency: "currency", payment_method: "text", total_quantity: "whole", tax: "money",
      shipping: "money", discount_code: "text", discount_amount: "money", credit_order: "flag",
    },
  },
  checkout_step: {
    required: ["step"],
    fields: {
      step: "whole", shipping_postcode: "text", billing_postcode: "text", delivery_provider: "text", delivery_method: "text",
      coupon_code: "text", account_type: "text", payment_method: "text", proof_of_payment: "text", marketing_opt_in: "flag",
    },
  },
  promotion: {
    required: ["id"],
    fields: { id: "text", name: "text", product_ids: "texts", position: "whole", creative_id: "text", type: "text", slot: "text" },
  },
  refund: {
    required: ["transaction_id", "currency", "refund_amount"],
    fields: { transaction_id: "text", currency: "currency", refund_amount: "money", refund_reason: "text" },
  },
  transaction_error: {
    required: [],
    fields: { error_code: "text", error_shortcode: "text", error_description: "text", error_type: "text", resolution: "text" },
  },
  user: { required: ["id"], fields: { id: "text", is_guest: "flag", email: "text" } },
  page: { required: ["type"], fields: { type: "text", language: "text", locale: "text" } },
};

/** Entities that each type of action carries, with the least and the most of each. */
const CARRIES: Readonly<Record<string, Readonly<Record<string, readonly [number, number]>>>> = {
  product_view: { product: [1, 1] },
  add_to_cart: { product: [1, 99], cart: [1, 1] },
  remove_from_cart: { product: [1, 99], cart: [1, 1] },
  list_view: { product: [1, 99] },
  list_click: { product: [1, 1] },
  promo_view: { promotion: [1, 1] },
  promo_click: { promotion: [1, 1] },
  checkout_step: { checkout_step: [1, 1] },
  transaction: { product: [1, 99], transaction: [1, 1] },
  refund: { product: [1, 99], refund: [1, 1] },
  trns_error: { transaction: [1, 1], transaction_error: [1, 1] },
};

const CHECKS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  text: (value) => typeof value === "string" && value !== "",
  whole: (value) => Number.isInteger(value),
  // As a number is written in JSON: at most two decimals, and none of a sum's dust.
  money: (value) => typeof value === "number" && value >= 0 && value <= 9_999_999 && /^\d+(\.\d{1,2})?$/.test(JSON.stringify(value)),
  flag: (value) => typeof value === "boolean",
  texts: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
  currency: (value) => value === "EUR",
};

function checkEntity(entity: Json) {
  const [vendor = "", name = "", , version] = entity.schema.split("/");
  if (vendor !== ECOMMERCE) return;
  const shape = SHAPES[name];
  assert.ok(shape, `an entity of the schema ${entity.schema}`);
  assert.equal(version, "1-0-0", entity.schema);
  for (const field of shape.required) assert.ok(field in entity.data, `${name} holds ${field}`);
  for (const [field, value] of Object.entries(entity.data)) {
    const kind = shape.fields[field];
    assert.ok(kind, `${name} may hold ${field}`);
    assert.ok(CHECKS[kind](value), `${name}.${field} is ${kind}, not ${JSON.stringify(value)}`);
  }
}

/** Fails unless an event is as the protocol and the schemas want it. */
export function checkEvent(event: Sent): void {
  for (const [key, value] of Object.entries(event.raw)) assert.equal(typeof value, "string", `${key} is text`);
  assert.ok(["pv", "pp", "ue"].includes(event.raw.e ?? ""), `e is ${event.raw.e}`);
  assert.equal(event.raw.p, "web");
  assert.equal(event.raw.aid, "oddharbour");
  assert.match(event.raw.eid ?? "", /^[0-9a-f-]{36}$/);
  assert.match(event.raw.tv ?? "", /^js-/);
  assert.match(event.raw.duid ?? "", /^[0-9a-f-]{36}$/);
  event.entities.forEach(checkEntity);
  for (const name of ["web_page", "client_session", "browser_context", "page", "user"]) {
    assert.equal(entities(event, name).length, 1, `one ${name} in ${event.action?.data.type ?? event.raw.e}`);
  }
  assert.equal(entities(event, "client_session")[0]?.sessionId, event.raw.sid);
  assert.equal(entities(event, "client_session")[0]?.userId, event.raw.duid);
  if (!event.action) return;
  assert.equal(event.action.schema, `${ECOMMERCE}/snowplow_ecommerce_action/jsonschema/1-0-2`);
  const type = String(event.action.data.type);
  const carries = CARRIES[type];
  assert.ok(carries, `a type of action, ${type}`);
  for (const name of ["product", "cart", "promotion", "checkout_step", "transaction", "refund", "transaction_error"]) {
    const [least, most] = carries[name] ?? [0, 0];
    const found = entities(event, name).length;
    assert.ok(found >= least && found <= most, `${type} carries ${found} of ${name}, wanted ${least} to ${most}`);
  }
}
