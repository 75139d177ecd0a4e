"use strict";
/* The rest of the page: totals, what repeats the run, and the theme. */

(() => {
    const { metrics, target, origin } = facts;
    document.getElementById("subtitle").textContent =
        target.description + ". Simulated, at " + number(target.clock_hz / 1e6) + " MHz; not measured on silicon.";

    const cards = document.getElementById("cards");
    function card(title, value, note) {
        const [entry, shown] = [element("div"), element("dd", value)];
        if (note) shown.append(element("small", note));
        entry.append(element("dt", title), shown);
        cards.append(entry);
    }
    card("Latency", number(metrics.latency_ms, 2) + " ms", number(metrics.cycles) + " cycles");
    card("Host", short(metrics.host.instructions), "instructions, " + short(metrics.host.cycles) + " cycles");
    for (const [name, engine] of Object.entries(metrics.engines).filter(([, engine]) => engine.launches)) {
        card("Engine " + name, number((100 * engine.busy_cycles) / metrics.cycles, 1) + " % busy", number(engine.launches) + " launches");
    }
    if (facts.offload) {
        const { layers, all_layers, macs, all_macs, pow2 } = facts.offload;
        const share = all_macs ? number((100 * macs) / all_macs, 1) + " % of the MACs" : "";
        const more = pow2 ? "; " + pow2[0] + " of " + pow2[1] + " with requant=pow2" : "";
        card("On accelerators", layers + " of " + all_layers + " layers", share + more);
    }
    card("Work", short(metrics.macs) + "MAC", number(metrics.macs / metrics.cycles, 3) + " per cycle");
    card("RAM", bytes(metrics.ram_bytes), "and " + number(metrics.stack_bytes) + " bytes of stack");
    card("Code", bytes(metrics.code_bytes), "and " + bytes(metrics.rodata_bytes) + " of constants");
    if (metrics.energy_uj) {
        card("Energy", number(metrics.energy_uj, 1) + " µJ", "of " + metrics.energy_units.join(" and ") + " only");
    }

    document.getElementById("command").textContent = origin.command;
    const columns = document.getElementById("origin");
    function list(title, rows) {
        if (!Object.keys(rows).length) return;
        const [part, table, body] = [element("div"), element("table"), element("tbody")];
        for (const [name, value] of Object.entries(rows)) {
            const row = element("tr");
            row.append(element("td", name), element("td", typeof value === "string" ? value : JSON.stringify(value)));
            body.append(row);
        }
        table.append(body);
        part.append(element("h3", title), table);
        columns.append(part);
    }
    list("Versions", origin.versions);
    list("Model", origin.model);
    list("Inputs, sha256", origin.inputs);
    list("Outputs, sha256", origin.outputs);
    list("Generated files, sha256", origin.files);

    const button = document.getElementById("theme");
    const preferred = matchMedia("(prefers-color-scheme: dark)");
    function theme(name) {
        document.documentElement.dataset.theme = name;
        button.textContent = name === "dark" ? "Light" : "Dark";
        button.setAttribute("aria-label", "Change to " + button.textContent.toLowerCase() + " colours");
        drawAll();
    }
    button.addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
    preferred.addEventListener("change", () => theme(preferred.matches ? "dark" : "light"));
    theme(preferred.matches ? "dark" : "light");
    document.documentElement.dataset.ready = "yes";
})();
