/** Tells one run's conversations from another's: the time that it began, as `20261124-174501`. */
export function runSuffix(clock: { wallMs(): number }): string {
  const [day, time] = new Date(clock.wallMs()).toISOString().split("T") as [string, string];
  return `${day.replaceAll("-", "")}-${time.slice(0, 8).replaceAll(":", "")}`;
}
