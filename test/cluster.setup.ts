// Gives the second of two cluster test files that run side by side the second control plane, if there is one.
const { TEST_KUBECONFIG_BESIDE, VITEST_POOL_ID } = process.env
if (TEST_KUBECONFIG_BESIDE !== undefined && VITEST_POOL_ID === "2") process.env.KUBECONFIG = TEST_KUBECONFIG_BESIDE
