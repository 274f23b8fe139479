-- The changes of local.py for several machines.
-- KEYS: the numbers by time (sorted set); by number (hashes): whether it is confirmed, and host, project and
-- kind; the change as JSON; the latest change that undid it; until when somebody undoes it. And the last number.
-- ARGV: the operation, its arguments as JSON, the change as JSON.
local ORDER, ABOUT, BODIES, UNDONE, CLAIMS, NUMBER = unpack(KEYS)
local op, a, body = ARGV[1], cjson.decode(ARGV[2]), ARGV[3]
local KEPT_SECONDS = 91 * 86400
local START = 1767225600 -- of 2026

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function forget(number)
  redis.call('HDEL', ABOUT, number)
  redis.call('HDEL', BODIES, number)
  redis.call('HDEL', UNDONE, number)
  redis.call('HDEL', CLAIMS, number)
  return redis.call('ZREM', ORDER, number)
end

local function noted(number)
  local about = redis.call('HGET', ABOUT, number)
  local undone = redis.call('HGET', UNDONE, number)
  return string.sub(about, 1, 1), redis.call('HGET', BODIES, number), undone or '0'
end

local operations = {}

-- Begins with the minutes since 2026, so that a Redis that lost its data gives no number a second time.
function operations.number()
  redis.call('SET', NUMBER, math.floor((now() - START) / 60), 'NX')
  return redis.call('INCR', NUMBER)
end

function operations.put()
  if not a.confirmed and redis.call('HEXISTS', ABOUT, a.number) == 1 then
    return
  end
  redis.call('ZADD', ORDER, a.at, a.number)
  redis.call('HSET', ABOUT, a.number, (a.confirmed and '1 ' or '0 ') .. a.about)
  redis.call('HSET', BODIES, a.number, body)
  if a.undoes ~= '' then
    redis.call('HSET', UNDONE, a.undoes, a.number)
  end
  for _, number in ipairs(redis.call('ZRANGEBYSCORE', ORDER, '-inf', '(' .. a.oldest)) do
    forget(number)
  end
  for _, number in ipairs(redis.call('ZRANGE', ORDER, 0, -1 - a.most)) do
    forget(number)
  end
  for _, key in ipairs(KEYS) do
    redis.call('EXPIRE', key, KEPT_SECONDS)
  end
end

function operations.drop()
  return forget(a.number)
end

function operations.find()
  if redis.call('HEXISTS', ABOUT, a.number) == 1 then
    return { noted(a.number) }
  end
end

function operations.changes()
  local flat, about = redis.call('HGETALL', ABOUT), {}
  for i = 1, #flat, 2 do
    about[flat[i]] = flat[i + 1]
  end
  local found, total = { 0 }, 0
  for _, number in ipairs(redis.call('ZREVRANGEBYSCORE', ORDER, '+inf', a.since)) do
    local place, kind = string.match(about[number], '^. (%S+ %S+) (.*)$')
    if (place == a.places[1] or place == a.places[2]) and (a.kind == '' or kind == a.kind) then
      total = total + 1
      if total > a.skip and total <= a.skip + a.limit then
        found[#found + 1] = { number, noted(number) }
      end
    end
  end
  found[1] = total
  return found
end

function operations.claim()
  if (redis.call('HGET', UNDONE, a.number) or '') ~= a.undone_by then
    return 0
  end
  if tonumber(redis.call('HGET', CLAIMS, a.number) or '0') > now() then
    return 0
  end
  redis.call('HSET', CLAIMS, a.number, string.format('%.6f', now() + a.seconds))
  return 1
end

function operations.release()
  redis.call('HDEL', CLAIMS, a.number)
end

return operations[op]()
