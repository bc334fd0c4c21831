-- Unique fulfillment requests of about 1 KB for wrk. Arguments: a prefix for the ids, milliseconds of pause.
local threads, count = 0, 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  prefix, pause = args[1], tonumber(args[2] or "0")
  wrk.headers["Authorization"] = "Bearer " .. string.rep("k", 24)
  wrk.headers["Content-Type"] = "application/json"
  local address = '{"first_name":"Ana","last_name":"Ruiz","address_line_1":"12 Elm St","zip_code":"78701"}'
  rest = '","order_id":"SO-100482","billing_address":' .. address .. ',"shipping_address":' .. address
    .. ',"shipping_options":{"carrier":"UPS","service_level":"GROUND"},"created_at":"2026-03-05T09:14:22Z","items":['
    .. '{"product_id":"SKU-0","extended_attributes":[]},{"product_id":"SKU-1","extended_attributes":[]},'
    .. '{"product_id":"SKU-2","extended_attributes":[]}],"extended_attributes":[{"name":"note","value":"'
    .. string.rep("x", 400) .. '"}]}'
end

function delay()
  return pause
end

function request()
  count = count + 1
  return wrk.format("POST", nil, nil, string.format('{"id":"%s-%d-%d', prefix, number, count) .. rest)
end
