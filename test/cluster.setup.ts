// Gives each of the two files of cluster tests that run side by side a control plane of its own, where there is a second one.
const { TEST_KUBECONFIG_BESIDE, VITEST_POOL_ID } = process.env
if (TEST_KUBECONFIG_BESIDE !== undefined && VITEST_POOL_ID === "2") process.env.KUBECONFIG = TEST_KUBECONFIG_BESIDE
