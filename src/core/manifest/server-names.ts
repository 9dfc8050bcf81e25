// The names of the server, of the Secrets with its tokens and certificate, and of the volume claim with its database.
// They are the shipped ones, whatever the installation beside it is called: its volume, and so all states, would not follow to another.
// Used by core/manifest/installation/server, core/manifest/own-objects, cli/values/pool-of-base and cli/values/write-overlay.

export const serverName = "agent-job-server"

export const serverSecrets = { user: "agent-job-user-token", pool: "agent-job-pool-token", tls: "agent-job-server-tls" } as const

export const serverVolume = "data"

/** Returns the name that Kubernetes gives the volume claim of the StatefulSet's only replica. */
export const serverClaim = `${serverVolume}-${serverName}-0`
