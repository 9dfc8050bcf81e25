// The three kinds of tests, told apart by file name: *.test.ts needs nothing, *.cluster.test.ts a real API server, *.node.test.ts a node with the product on it.
// Tests with a cluster speak only to the one named here, never to the kubeconfig of whoever runs them.
import { randomInt } from "node:crypto"
import { homedir } from "node:os"
import { join } from "node:path"
import { defineConfig } from "vitest/config"

const cache = process.env.CLUSTER_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "agent-job-cluster")
const state = process.env.CLUSTER_STATE ?? (process.getuid?.() === 0 ? "/var/lib/agent-job-cluster" : join(cache, "state"))
const env = { KUBECONFIG: process.env.TEST_KUBECONFIG ?? join(state, "kubeconfig"), PATH: `${join(cache, "bin")}:${process.env.PATH}` }
const withCluster = ["test/**/*.cluster.test.ts", "test/**/*.node.test.ts"]

const PROPERTY_SEED = process.env.PROPERTY_SEED ?? String(randomInt(2 ** 31))
console.log(`property seed ${PROPERTY_SEED}`)

export default defineConfig({
  test: {
    setupFiles: ["test/arbitrary.setup.ts"],
    env: { PROPERTY_SEED },
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: "unit", include: ["test/**/*.test.ts"], exclude: withCluster, testTimeout: 60_000 } },
      // One file at a time: they share one cluster, and what one of them counts must not be another's.
      { extends: true, test: { name: "cluster", include: ["test/**/*.cluster.test.ts"], env, fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 } },
      { extends: true, test: { name: "node", include: ["test/**/*.node.test.ts"], globalSetup: "test/end-to-end/setup.ts", env, fileParallelism: false, testTimeout: 180_000, hookTimeout: 180_000 } }
    ]
  }
})
