"use strict";
/* The table of decisions: what each engine says of each layer. Not there if nobody has asked them. */

(() => {
    const { decisions, engines } = facts;
    if (!decisions.length) {
        for (const id of ["decisions", "decisions-link"]) document.getElementById(id).remove();
        return;
    }
    const list = document.getElementById("decision-summary");
    for (const line of facts.decision_summary) list.append(element("li", line));
    const [head, body] = [element("thead"), element("tbody")];
    const titles = element("tr");
    for (const title of ["layer", "op", ...engines]) titles.append(element("th", title, { scope: "col" }));
    head.append(titles);

    /* What would make an engine take a layer, what that asks for, and what it gives; or that nothing would. */
    function remedy({ engine, change, no_change }) {
        if (!change) return element("div", no_change);
        const said = element("div", `runs it with ${change.changes.join("; ")} (${change.effort}`, { class: "remedy" });
        if (change.option) said.append(", ", element("code", change.option), " does it");
        let times = number(change.cycles) + " cycles instead of " + number(change.cycles_now);
        if (change.weight_bytes !== change.weight_bytes_now)
            times += ", " + number(change.weight_bytes) + " bytes of weights instead of " + number(change.weight_bytes_now);
        const better = change.cycles < change.cycles_now ? times : "no fewer cycles";
        said.append("): " + (change.engine === engine ? better : change.engine + " would still be faster"));
        return said;
    }

    function answer(candidate, isChosen) {
        const cell = element("td", undefined, { class: candidate.cycles === null ? "answer" : "answer price" });
        if (candidate.cycles === null) {
            const then = candidate.then.length ? ` (then ${candidate.then.join(", ")})` : "";
            cell.append(element("div", candidate.refusal + then));
            cell.append(remedy(candidate));
        } else {
            cell.append(element(isChosen ? "strong" : "span", number(candidate.cycles) + " cycles"));
            const network = candidate.network_cycles;
            if (network) {
                const there = typeof network === "string" ? network : "the network " + number(network[0]) + " cycles, not " + number(network[1]);
                cell.append(element("div", (typeof network === "string" ? "not for the network: " : "with the layer here ") + there, { class: "elsewhere" }));
            }
            if (candidate.energy_uj !== null) cell.append(element("div", number(candidate.energy_uj, 3) + " \u00b5J"));
        }
        return cell;
    }
    function what({ op, fused, kinds, kernel_size, strides, groups }) {
        const first = fused.length ? fused[0] : op;
        const parts = [kernel_size.length ? first + " " + kernel_size.join("x") : first];
        if (strides.some((each) => each > 1)) parts.push("strides " + strides.join("x"));
        if (groups > 1) parts.push(groups + " groups" + (kinds.includes("depthwise") ? " (depthwise)" : ""));
        return [parts.join(", "), ...fused.slice(1)].join(" + ");
    }

    for (const decision of decisions) {
        const row = element("tr");
        const name = element("td", decision.name, { title: decision.nodes.join(", ") });
        if (decision.inserted) name.append(element("div", "inserted: " + decision.inserted, { class: "purpose" }));
        row.append(name, element("td", what(decision)));
        for (const engine of engines) {
            row.append(answer(decision.candidates.find((each) => each.engine === engine), engine === decision.engine));
        }
        body.append(row);
    }
    document.getElementById("decision-table").append(head, body);
})();
