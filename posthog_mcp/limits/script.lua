-- The rings of sqlite.py for several machines, on the clock of the Redis server.
-- KEYS: the budget's state (hash), its slots and the slots given back (sorted sets: number, time).
-- A queue has its state, its tickets (sorted set) and the times they end (hash) there.
-- ARGV: the operation, the time ("" for the server's), the operation's arguments as JSON.
local STATE, SLOTS, FREE = KEYS[1], KEYS[2], KEYS[3]
local op, a = ARGV[1], cjson.decode(ARGV[3])
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function text(number)
  return string.format('%.6f', number)
end

local function field(name)
  return tonumber(redis.call('HGET', STATE, name) or '0')
end

local function keep(seconds)
  for _, key in ipairs(KEYS) do
    redis.call('EXPIRE', key, math.ceil(seconds))
  end
end

local function score(key, first)
  local found = redis.call('ZREVRANGE', key, first, first, 'WITHSCORES')
  return found[1], tonumber(found[2])
end

local function allowed(limit)
  local lowered = redis.call('HGET', STATE, 'lowered')
  lowered = lowered and cjson.decode(lowered)[limit.name]
  if not lowered then
    return limit.permits
  end
  local steps = math.floor((now - field('lowered_at') - a.lowered_seconds) / a.raised_every) + 1
  return math.min(limit.permits, lowered + math.max(0, steps) * limit.tenth)
end

-- When every limit has room for a permit that has so many later ones, and the limit that decides it.
local function room(later, share)
  local slot, spent = field('cool_down'), a.title
  for _, limit in ipairs(a.limits) do
    local permits = math.max(1, math.floor(allowed(limit) * share))
    local _, must_leave = score(SLOTS, later + permits)
    if must_leave and must_leave + limit.seconds + a.guard > slot then
      slot, spent = must_leave + limit.seconds + a.guard, limit.name
    end
  end
  return slot, spent
end

local operations = {}

function operations.reserve()
  local from = math.max(now, field('cool_down'))
  local free = redis.call('ZRANGEBYSCORE', FREE, text(from), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  local number, slot, spent = free[1], tonumber(free[2]), a.title
  if not number or a.background then
    number = nil
    slot, spent = room(-1, a.background and a.background_share or 1)
    local _, newest = score(SLOTS, 0)
    slot = math.max(slot, now, newest or 0)
  end
  if slot - now > a.patience then
    return { -2, text(slot - now), spent }
  end
  if #a.limits == 0 then
    return { -1, text(slot - now), '' }
  end
  redis.call('ZREMRANGEBYSCORE', SLOTS, '-inf', '(' .. text(now - a.seconds - a.guard))
  redis.call('ZREMRANGEBYSCORE', FREE, '-inf', '(' .. text(now))
  if number then
    redis.call('ZREM', FREE, number)
  else
    -- padded, so that slots of the same moment keep their order
    number = string.format('%015d', redis.call('HINCRBY', STATE, 'next', 1))
    redis.call('ZADD', SLOTS, text(slot), number)
  end
  keep(a.keep)
  return { tonumber(number), text(slot - now), '' }
end

function operations.due()
  local number = string.format('%015d', a.number)
  local at = tonumber(redis.call('ZSCORE', SLOTS, number) or nil)
  if not at then
    return text(math.max(0, field('cool_down') - now))
  end
  local due = math.max(at, (room(redis.call('ZREVRANK', SLOTS, number), 1)))
  if due > at or now > at then
    redis.call('ZADD', SLOTS, 'XX', text(math.max(due, now)), number)
  end
  return text(due - now)
end

function operations.give_back()
  local number = string.format('%015d', a.number)
  local newest, at = score(SLOTS, 0)
  if newest ~= number then
    at = tonumber(redis.call('ZSCORE', SLOTS, number) or 0)
    if at > now then
      redis.call('ZADD', FREE, text(at), number)
      keep(a.keep)
    end
    return
  end
  repeat
    redis.call('ZREM', SLOTS, newest)
    redis.call('ZREM', FREE, newest)
    newest, at = score(SLOTS, 0)
  until not newest or at <= now or not redis.call('ZSCORE', FREE, newest)
end

local function lower(wait)
  local spent = a.limits[#a.limits]
  for i = #a.limits, 1, -1 do
    if a.limits[i].seconds >= wait then
      spent = a.limits[i]
    end
  end
  local lowered = {}
  for _, limit in ipairs(a.limits) do
    local permits = allowed(limit)
    if limit.name == spent.name then
      permits = math.max(1, permits - limit.tenth)
    end
    if permits < limit.permits then
      lowered[limit.name] = permits
    end
  end
  redis.call('HSET', STATE, 'lowered', cjson.encode(lowered), 'lowered_at', text(now))
end

function operations.penalize()
  local cool_down, refusals = field('cool_down'), field('refusals')
  local known = now < cool_down
  local again = not known and refusals > 0 and now < math.max(cool_down, field('refused_at')) + a.shortest
  if not known then
    refusals = again and refusals + 1 or 1
  end
  local wait = a.wait
  if wait < 0 then
    wait = known and 0 or math.min(2 ^ (refusals - 1), a.longest_back_off)
  end
  local ends = math.max(cool_down, now + wait)
  local moved = ends - math.max(cool_down, now)
  for _, key in ipairs({ SLOTS, FREE }) do
    for _, number in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. text(now), '+inf')) do
      redis.call('ZINCRBY', key, text(moved), number)
    end
  end
  redis.call('HSET', STATE, 'cool_down', text(ends), 'refusals', refusals, 'refused_at', text(now))
  if again and #a.limits > 0 then
    lower(wait)
  end
  keep(a.keep + ends - now)
  return text(ends - now)
end

function operations.state()
  local used, permits = {}, {}
  for i, limit in ipairs(a.limits) do
    local from = '(' .. text(now - limit.seconds)
    used[i] = redis.call('ZCOUNT', SLOTS, from, '+inf') - redis.call('ZCOUNT', FREE, from, '+inf')
    permits[i] = allowed(limit)
  end
  return { used, permits, text(math.max(0, field('cool_down') - now)), redis.call('HGET', STATE, 'remaining') }
end

function operations.note()
  redis.call('HSET', STATE, 'remaining', a.remaining)
  keep(a.keep)
end

function operations.enter()
  local ticket = redis.call('HINCRBY', STATE, 'ticket', 1)
  redis.call('ZADD', SLOTS, ticket, ticket .. ' ' .. a.holder)
  redis.call('HSET', FREE, ticket, text(now + a.seconds))
  keep(a.seconds + a.keep)
  return ticket
end

function operations.leave()
  redis.call('ZREMRANGEBYSCORE', SLOTS, a.ticket, a.ticket)
  redis.call('HDEL', FREE, a.ticket)
end

function operations.ahead()
  local ahead = {}
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', SLOTS, '-inf', '(' .. a.ticket)) do
    local ticket = string.match(member, '^%d+')
    if tonumber(redis.call('HGET', FREE, ticket) or 0) < now then
      redis.call('ZREM', SLOTS, member)
      redis.call('HDEL', FREE, ticket)
    else
      ahead[#ahead + 1] = member
    end
  end
  return ahead
end

function operations.learn()
  redis.call('HSETNX', STATE, a.fact, a.value)
  return redis.call('HGET', STATE, a.fact)
end

function operations.recall()
  return redis.call('HGET', STATE, a.fact)
end

return operations[op]()
