// What PostHog's own Node SDK, unmodified, tells people of flags; prints it as one line of JSON.
// node flags.mjs '{"people": {id: properties}, "keys": [...]}'
import { PostHog } from 'posthog-node'

const { people, keys } = JSON.parse(process.argv[2])
const { POSTHOG_API_KEY, POSTHOG_PERSONAL_API_KEY, POSTHOG_HOST: host } = process.env
const asking = new PostHog(POSTHOG_API_KEY, { host })
const deciding = new PostHog(POSTHOG_API_KEY, { host, personalApiKey: POSTHOG_PERSONAL_API_KEY })
await deciding.waitForLocalEvaluationReady(5000)
const told = { local: {}, remote: {} }
const quietly = { sendFeatureFlagEvents: false }
for (const [person, personProperties] of Object.entries(people)) {
  told.remote[person] = await asking.getAllFlags(person)
  told.local[person] = {}
  for (const key of keys) {
    const options = { personProperties, onlyEvaluateLocally: true, ...quietly }
    told.local[person][key] = await deciding.getFeatureFlag(key, person, options)
  }
}
await asking.shutdown()
await deciding.shutdown()
console.log(JSON.stringify(told))
