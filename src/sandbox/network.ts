/**
 * Attempts to leave that were refused for want of a route, from the text of /proc/PID/net/snmp (a line of names, a line
 * of numbers) or snmp6 (a name and a number each line). There is no route but to the box itself, so each is a try to
 * reach something outside.
 */
export function attemptsIn(text: string): number {
  const six = /^Ip6OutNoRoutes\s+(\d+)/m.exec(text)?.[1];
  if (six !== undefined) return Number(six);
  const [names = [], numbers = []] = text
    .split("\n")
    .filter((line) => line.startsWith("Ip:"))
    .map((line) => line.split(" "));
  return Number(numbers[names.indexOf("OutNoRoutes")] ?? 0);
}
