"use strict";
/* The table of layers: sorted by any column, filtered by a text, linked with the charts. */

(() => {
    const total = facts.metrics.cycles;
    const columns = [
        ["#", (layer, step) => step, 0],
        ["layer", (layer) => layer.name + (layer.inserted ? " (inserted)" : "")],
        ["op", (layer) => layer.op],
        ["engine", (layer) => layer.engine],
        ["output", (layer) => layer.shape.join("×")],
        ["MACs", (layer) => layer.macs || null, 0],
        ["cycles", (layer) => layer.cycles, 0],
        ["% of cycles", (layer) => (100 * layer.cycles) / total, 1],
        ["predicted", (layer) => layer.predicted_cycles, 0],
        ["off %", (layer) => layer.predicted_cycles && (100 * (layer.predicted_cycles - layer.cycles)) / layer.cycles, 1],
        ["MAC/cycle", (layer) => (layer.macs ? layer.macs / layer.cycles : null), 3],
        ["% of bound", (layer) => layer.share_of_bound && 100 * layer.share_of_bound, 1],
        ["bytes read", (layer) => layer.read_bytes, 0],
        ["written", (layer) => layer.written_bytes, 0],
        ["weights", (layer) => layer.weight_bytes || null, 0],
        ["transferred", (layer) => layer.transferred_bytes, 0],
        ["energy µJ", (layer) => layer.energy_uj, 3],
    ];
    const known = (value) => value !== null && value !== undefined;
    const used = columns.filter(([title, get]) => title === "#" || facts.layers.some((layer) => get(layer)));
    const isShare = (title) => title.startsWith("% of");

    const table = new DataTable("#layer-table", {
        data: facts.layers.map((layer, step) => used.map(([, get]) => get(layer, step))),
        columns: used.map(([title, , digits], index) => ({
            title,
            data: index,
            className: digits === undefined ? "" : isShare(title) ? "number share" : "number",
            type: digits === undefined ? "string" : "num",
            orderSequence: digits === undefined || title === "#" ? ["asc", "desc"] : ["desc", "asc"],
            createdCell: (cell, value) => isShare(title) && cell.style.setProperty("--share", Math.min(value || 0, 100) + "%"),
            render: (value, use) => {
                if (use !== "display") return known(value) ? value : -1;
                if (!known(value)) return "";
                return digits === undefined ? escaped(value) : number(value, digits);
            },
        })),
        createdRow: (row, values, step) => {
            row.tabIndex = 0;
            row.dataset.step = step;
            row.addEventListener("click", () => select(selected === step ? -1 : step));
            row.addEventListener("keydown", (event) => event.key === "Enter" && select(selected === step ? -1 : step));
        },
        autoWidth: false, paging: false, order: [],
        layout: { topStart: "search", topEnd: "info", bottomStart: null, bottomEnd: null },
        language: { search: "Filter: ", info: "_TOTAL_ layers", infoFiltered: "of _MAX_", infoEmpty: "no layers", zeroRecords: "no layer has this text" },
    });

    onSelect.push((step) => {
        for (const row of table.table().body().rows) row.classList.toggle("selected", row.dataset.step === String(step));
    });
})();
