export function startNav() {}
export function drawNav() {}
