// An application that uses PostHog's own Node SDK, unmodified; prints what it was told as one line of JSON.
import { PostHog } from 'posthog-node'

const name = process.argv[2]
const { POSTHOG_API_KEY, POSTHOG_PERSONAL_API_KEY, POSTHOG_HOST: host } = process.env
const known = `${name}-known`
const visitor = `${name}-visitor`
const flag = `${name}-flag`

const client = new PostHog(POSTHOG_API_KEY, { host })
client.capture({ distinctId: visitor, event: 'page seen', properties: { path: '/a' } })
client.identify({ distinctId: known, properties: { $anon_distinct_id: visitor, $set: { plan: 'pro', city: 'Paris' } } })
client.alias({ distinctId: known, alias: `${name}-alias` })
client.groupIdentify({ groupType: 'company', groupKey: `${name}-acme`, properties: { seats: 12 } })
client.capture({ distinctId: known, event: 'order placed', properties: { total: 42.5 }, groups: { company: `${name}-acme` } })
client.captureException(new TypeError('bad total'), known)
await client.flush()
const told = {
  remote: await client.getFeatureFlag(flag, known),
  payload: await client.getFeatureFlagPayload(flag, known),
  all: await client.getAllFlags(known),
}
await client.shutdown()

const local = new PostHog(POSTHOG_API_KEY, { host, personalApiKey: POSTHOG_PERSONAL_API_KEY })
await local.waitForLocalEvaluationReady(5000)
for (const plan of ['pro', 'free']) {
  told[plan] = await local.getFeatureFlag(flag, known, { personProperties: { plan }, onlyEvaluateLocally: true })
}
told.config = await local.getRemoteConfigPayload(`${name}-config`)
await local.shutdown()
console.log(JSON.stringify(told))
