// The surveys that PostHog's own Node SDK, unmodified, would show; prints them as one line of JSON.
import { PostHog } from 'posthog-node'

const client = new PostHog(process.env.POSTHOG_API_KEY, { host: process.env.POSTHOG_HOST })
const surveys = await client.getSurveysStateless()
await client.shutdown()
console.log(JSON.stringify(surveys))
