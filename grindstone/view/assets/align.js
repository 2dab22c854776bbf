// Two conversations laid side by side: the turns that both have stand in one row.

const MOST = 25_000_000; // pairs of turns that are compared; beyond it the middle is left as it is

// Returns stretches in order, each of turns that are the same or that are not: what stands in
// both in the same order is as much as can be (the longest common subsequence).
export function align(one, two, key = (line) => line.title) {
  const [a, b] = [one.map(key), two.map(key)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let [end_a, end_b] = [a.length, b.length];
  while (end_a > start && end_b > start && a[end_a - 1] === b[end_b - 1]) {
    end_a -= 1;
    end_b -= 1;
  }
  const parts = [];
  const add = (same, left, right) => {
    if (left.length + right.length === 0) return;
    const last = parts.at(-1);
    if (last?.same === same) {
      last.left.push(...left);
      last.right.push(...right);
    } else parts.push({ same, left: [...left], right: [...right] });
  };
  add(true, one.slice(0, start), two.slice(0, start));
  const longest = table(a, b, start, end_a, end_b);
  let [i, j] = [start, start];
  while (longest && i < end_a && j < end_b) {
    if (a[i] === b[j]) add(true, [one[i++]], [two[j++]]);
    else if (longest(i + 1, j) >= longest(i, j + 1)) add(false, [one[i++]], []);
    else add(false, [], [two[j++]]);
  }
  add(false, one.slice(i, end_a), two.slice(j, end_b));
  add(true, one.slice(end_a), two.slice(end_b));
  return parts;
}

// How long the longest common subsequence is from any two places on; null where it is too much.
function table(a, b, start, end_a, end_b) {
  const [height, width] = [end_a - start + 1, end_b - start + 1];
  if (height * width > MOST) return null;
  const cells = new Uint32Array(height * width);
  for (let i = height - 2; i >= 0; i -= 1) {
    for (let j = width - 2; j >= 0; j -= 1) {
      cells[i * width + j] = a[start + i] === b[start + j] ? cells[(i + 1) * width + j + 1] + 1
        : Math.max(cells[(i + 1) * width + j], cells[i * width + j + 1]);
    }
  }
  return (i, j) => cells[(i - start) * width + (j - start)];
}
