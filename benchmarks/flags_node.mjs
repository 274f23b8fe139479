// PostHog's Node SDK evaluating the same flags for the same people locally; prints JSON.
// node flags_node.mjs: reads {"definitions", "people", "turns", "timed"} from its input. Run by flags.py.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const require = createRequire(new URL('../tests/node/package.json', import.meta.url))
const { PostHog } = require('posthog-node')
const { definitions, people, turns, timed } = JSON.parse(readFileSync(0, 'utf8'))

const fetch = async () => ({
  status: 200, headers: { get: () => null }, text: async () => '{}', json: async () => definitions,
})
const client = new PostHog('phc_benchmark', { personalApiKey: 'phx_benchmark', host: 'http://127.0.0.1:9', fetch })
await client.waitForLocalEvaluationReady(5000)
const keys = definitions.flags.map((flag) => flag.key)
const quietly = { onlyEvaluateLocally: true, sendFeatureFlagEvents: false }

const questions = {
  all_flags: ([id, personProperties]) => client.getAllFlags(id, { personProperties, onlyEvaluateLocally: true }),
  one_by_one: async ([id, personProperties]) => {
    const values = {}
    for (const key of keys) values[key] = await client.getFeatureFlag(key, id, { personProperties, ...quietly })
    return values
  },
}
const values = []
for (const person of people) values.push(await questions.one_by_one(person))
const rates = {}
for (const [name, ask] of Object.entries(questions)) {
  let best = Infinity
  for (let turn = 0; turn < turns; turn++) {
    const start = process.hrtime.bigint()
    for (const person of people.slice(0, timed)) await ask(person)
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e9)
  }
  rates[name] = (timed * keys.length) / best
}
console.log(JSON.stringify({ rates, values }))
await client.shutdown()
