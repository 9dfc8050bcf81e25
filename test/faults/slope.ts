// How a figure grows, by Theil and Sen: the median of the slopes between all pairs of points, which no outlier moves.
// Pure.
// Used by the soak.
type Point = readonly [at: number, value: number]

/** Returns the growth per unit of `at`, or 0 for less than two points. It compares every pair of at most 500 points, spread evenly. */
export const slope = (points: ReadonlyArray<Point>): number => {
  const step = Math.max(1, Math.ceil(points.length / 500))
  const some = points.filter((_, index) => index % step === 0)
  const slopes = some.flatMap(([x, y], index) =>
    some.slice(index + 1).flatMap(([later, value]) => later > x ? [(value - y) / (later - x)] : [])
  ).sort((a, b) => a - b)
  return slopes[Math.floor(slopes.length / 2)] ?? 0
}
