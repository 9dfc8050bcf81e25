// What to wait for, one after the other, until a CustomResourceDefinition that was just made is served.
// kubectl can wait for a condition only once the object has any.
// Used by test/gitops/cluster.ts, test/kustomize/api-server.ts, test/cli/commands/migrate.cluster.test.ts and test/bench/scene.ts.
export const established = ["jsonpath={.status.conditions}", "condition=Established"] as const
