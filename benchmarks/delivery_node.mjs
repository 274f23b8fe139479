// An application that sends events with posthog-node and its defaults: the same as delivery_apps.py.
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRequire } from 'node:module'

const { PostHog } = createRequire(new URL('../tests/node/package.json', import.meta.url))('posthog-node')
const [host, , what, first, second] = process.argv.slice(2)
const options = what === 'fill' ? { host, maxQueueSize: 200000 } : { host }
const client = new PostHog('phc_benchmark', options)
const say = (value) => process.stdout.write(JSON.stringify(value) + '\n')
const capture = (n) =>
  client.capture({
    distinctId: `u${n % 20}`,
    event: 'order placed',
    properties: { n, plan: 'pro', total: n * 1.5, $current_url: 'https://shop.example/cart', text: 'x'.repeat(250) },
  })

if (what === 'latency') {
  const times = []
  for (let n = 0; n < Number(first); n++) {
    const started = performance.now()
    capture(n)
    times.push(performance.now() - started)
    await sleep(0.5)
  }
  times.sort((a, b) => a - b)
  say({ p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] })
  await client.shutdown()
} else if (what === 'fill') {
  for (let n = 0; n < Number(first); n++) capture(n)
  await sleep(500)
  say({ filled: Number(first) })
  await new Promise((resolve) => createInterface({ input: process.stdin }).once('line', resolve))
  const started = performance.now()
  await client.flush()
  await client.shutdown(300000)
  say({ rate: Number(first) / ((performance.now() - started) / 1000) })
  process.exit(0)
} else if (what === 'steady') {
  const ends = Date.now() + Number(second) * 1000
  let n = 0
  while (Date.now() < ends) {
    capture(n++)
    await sleep(1000 / Number(first))
  }
  say({ captured: n })
  await client.shutdown()
} else {
  for (let n = Number(first); ; n++) {
    capture(n)
    say({ n })
    await sleep(1)
  }
}
