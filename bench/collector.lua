-- What wrk sends to the collector: POSTs of BATCH events, as the browser tracker and its e-commerce
-- plugin write them (2.2 kB an event), each with an id of its own.

local batch = tonumber(os.getenv("BATCH") or "10")

local function quoted(text)
  return (text:gsub('\\', '\\\\'):gsub('"', '\\"'))
end

local contexts = quoted([[{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[]] ..
  [[{"schema":"iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-0-0","data":{"id":"p-17","name":"Trail shoe","category":"shoes/trail","price":129.99,"list_price":149.99,"quantity":1,"size":"42","variant":"blue","brand":"B-4","inventory_status":"in_stock","currency":"EUR"}},]] ..
  [[{"schema":"iglu:com.snowplowanalytics.snowplow.ecommerce/cart/jsonschema/1-0-0","data":{"cart_id":"c-1","total_value":172.98,"currency":"EUR"}},]] ..
  [[{"schema":"iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0","data":{"id":"0d3fbb8f-b4d3-4b35-8e6c-7f5c55b0b0a1"}},]] ..
  [[{"schema":"iglu:com.snowplowanalytics.snowplow/browser_context/jsonschema/2-0-0","data":{"viewport":"1280x720","documentSize":"1280x2400","resolution":"1920x1080","colorDepth":24,"devicePixelRatio":2,"cookiesEnabled":true,"online":true,"browserLanguage":"de-DE","documentLanguage":"en","webdriver":false,"deviceMemory":8,"hardwareConcurrency":8,"tabId":"5fcd5cd0-d179-4e32-badd-0f5900c11a6b"}},]] ..
  [[{"schema":"iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2","data":{"userId":"67430c52-68fb-4277-baeb-b6033403094a","sessionId":"c9727c0f-0f83-4a70-9eca-a415cf9ea52b","eventIndex":12,"sessionIndex":3,"previousSessionId":null,"storageMechanism":"COOKIE_1","firstEventId":"c770ace1-e3dc-4841-8a9b-d8cb2f2dd063","firstEventTimestamp":"2025-03-26T10:56:45.045Z"}}]}]])

local action = quoted([[{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{"schema":"iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2","data":{"type":"add_to_cart"}}}]])

local before = '{"e":"ue","eid":"'
local after = '","tv":"js-4.6.8","tna":"sp","aid":"shop","p":"web","cookie":"1","cs":"UTF-8","lang":"de-DE",' ..
  '"res":"1920x1080","cd":"24","tz":"Europe/Berlin","dtm":"1742986605045","stm":"1742986605055","vp":"1280x720",' ..
  '"ds":"1280x2400","vid":"3","sid":"c9727c0f-0f83-4a70-9eca-a415cf9ea52b","duid":"67430c52-68fb-4277-baeb-b6033403094a",' ..
  '"uid":"shopper-17@example.com","refr":"https://www.google.com/","page":"Trail shoe","url":' ..
  '"http://localhost:3000/product/p-17?utm_source=google&utm_medium=cpc&utm_campaign=winter-sale",' ..
  '"ue_pr":"' .. action .. '","co":"' .. contexts .. '"}'

wrk.method = "POST"
wrk.path = "/com.snowplowanalytics.snowplow/tp2"
wrk.headers["Content-Type"] = "application/json; charset=UTF-8"
wrk.headers["Origin"] = "http://localhost:3000"
wrk.headers["Cookie"] = "sp=de30aa02-de2e-4cf0-bd9d-3bbd89d47e0c"
wrk.headers["User-Agent"] = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36"

local number = math.random(0, 2 ^ 30)

function request()
  local events = {}
  for at = 1, batch do
    number = number + 1
    events[at] = before .. string.format("c770ace1-e3dc-4841-8a9b-%012x", number) .. after
  end
  return wrk.format(nil, nil, nil,
    '{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[' ..
    table.concat(events, ",") .. "]}")
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("%d %d %.3f %.1f %.1f\n", summary.requests, failed,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
