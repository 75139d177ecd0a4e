"use strict";
/* The table of decisions: what each engine says of each layer. Not there if nobody has asked them. */

(() => {
    const { decisions, engines } = facts;
    if (!decisions.length) {
        for (const id of ["decisions", "decisions-link"]) document.getElementById(id).remove();
        return;
    }
    const [head, body] = [element("thead"), element("tbody")];
    const titles = element("tr");
    for (const title of ["layer", "op", ...engines]) titles.append(element("th", title, { scope: "col" }));
    head.append(titles);

    /* What would make an engine take a layer, what that asks for, and what it gives; or that nothing would. */
    function remedy({ engine, change, no_change }) {
        if (!change) return no_change;
        const effort = change.effort + (change.option ? ", " + change.option + " does it" : "");
        const times = number(change.cycles_now) + " \u2192 " + number(change.cycles) + " cycles";
        const faster = change.engine === engine ? times : change.engine + " would still be faster: " + times;
        return `with ${change.changes.join(" and ")} (${effort}): ${faster}`;
    }

    function answer(candidate, isChosen) {
        const cell = element("td", undefined, { class: "answer" });
        if (candidate.cycles === null) {
            cell.append(element("span", candidate.refusal, { class: "refusal" }));
            cell.append(element("div", remedy(candidate), { class: candidate.change ? "remedy" : "faint" }));
        } else {
            cell.append(element(isChosen ? "strong" : "span", number(candidate.cycles) + " cycles"));
            if (candidate.energy_uj !== null) cell.append(element("div", number(candidate.energy_uj, 3) + " \u00b5J"));
        }
        return cell;
    }
    for (const decision of decisions) {
        const row = element("tr");
        const name = element("td", decision.name, { title: decision.nodes.join(", ") });
        row.append(name, element("td", decision.op));
        for (const engine of engines) {
            row.append(answer(decision.candidates.find((each) => each.engine === engine), engine === decision.engine));
        }
        body.append(row);
    }
    document.getElementById("decision-table").append(head, body);
})();
