"use strict";
/* The network: boxes in columns, which go to and fro in rows as wide as the page. */

(() => {
    const { nodes, edges } = facts.graph;
    const box = { width: 132, height: 40, column: 164, lane: 58, gap: 26 };
    const columns = Math.max(...nodes.map((node) => node.column), 0) + 1;
    const perRow = (width) => Math.max(2, Math.floor((width - box.width - 20) / box.column) + 1);

    /* Return how far apart columns are: rows that go to and fro fill the width. */
    function pitch(width) {
        const many = perRow(width);
        return columns > many ? (width - box.width - 20) / (many - 1) : box.column;
    }

    /* Return how high the rows begin, and behind the last one where the chart ends. */
    function tops(width) {
        const lanes = new Array(Math.ceil(columns / perRow(width))).fill(1);
        for (const node of nodes) {
            const row = Math.floor(node.column / perRow(width));
            lanes[row] = Math.max(lanes[row], node.lane + 1);
        }
        return lanes.reduce((all, count) => [...all, all[all.length - 1] + count * box.lane + box.gap], [0]);
    }

    const height = (width) => tops(width).pop() - box.gap + 16;

    /* Return where a node is, its row, and the direction in which the row goes. */
    function place(node, width) {
        const many = perRow(width);
        const row = Math.floor(node.column / many);
        const across = row % 2 ? many - 1 - (node.column % many) : node.column % many;
        return { x: box.width / 2 + 10 + across * pitch(width), y: 30 + tops(width)[row] + node.lane * box.lane, row, to: row % 2 ? -1 : 1 };
    }

    /* Return the line from one box to another: side to side, or below boxes that it passes, or down to the next row. */
    function line(source, target, width) {
        const [a, b] = [place(source, width), place(target, width)];
        if (a.row !== b.row) return { coords: [[a.x, a.y + box.height / 2], [b.x, b.y - box.height / 2]] };
        if (target.column - source.column > 1 && a.y > b.y) {
            return { coords: [[a.x + (a.to * box.width) / 2, a.y], [b.x, b.y + box.height / 2]] };
        }
        if (target.column - source.column > 1 && a.y === b.y) {
            return {
                coords: [[a.x + (a.to * box.width) / 4, a.y + box.height / 2], [b.x - (a.to * box.width) / 4, b.y + box.height / 2]],
                lineStyle: { curveness: -0.13 * a.to },
            };
        }
        return { coords: [[a.x + (a.to * box.width) / 2, a.y], [b.x - (a.to * box.width) / 2, b.y]] };
    }

    /* A name that fits into a box and that the markup of labels cannot misread. */
    const plain = (text) => (text.length > 17 ? text.slice(0, 8) + "…" + text.slice(-8) : text).replace(/[{}|]/g, " ");

    function ofNode(node) {
        if (node.step < 0) return tip(node.name, [["", node.op + " of the network"]]);
        const layer = facts.layers[node.step];
        return tip(node.name, [
            ["step", node.step],
            ["what", layer.summary],
            ["engine", layer.engine],
            ["ONNX nodes", layer.nodes.join(", ")],
            ["MACs", layer.macs ? number(layer.macs) : ""],
            ["cycles", number(layer.cycles) + " (" + number((100 * layer.cycles) / facts.metrics.cycles, 1) + " %)"],
        ]);
    }

    const ofEdge = ([, , name, shape, size]) => tip(name, [["shape", shape.join("×")], ["size", number(size) + " bytes"]]);

    function options(width) {
        return {
            animation: false,
            tooltip: tooltip((at) => (at.seriesType === "lines" ? ofEdge(at.data.edge) : ofNode(at.data.node))),
            grid: { left: 0, right: 0, top: 0, bottom: 0, outerBoundsMode: "none" },
            xAxis: { type: "value", min: 0, max: width, show: false },
            yAxis: { type: "value", min: 0, max: height(width), inverse: true, show: false },
            series: [{
                type: "lines", coordinateSystem: "cartesian2d", symbol: ["none", "arrow"], symbolSize: 8,
                lineStyle: { color: colour("faint"), width: 1.5, opacity: 1 }, emphasis: { disabled: true },
                data: edges.map((edge) => ({ edge, ...line(nodes[edge[0]], nodes[edge[1]], width) })),
            }, {
                type: "custom", encode: { x: 0, y: 1 },
                data: nodes.map((node) => {
                    const { x, y } = place(node, width);
                    return { node, value: [x, y] };
                }),
                renderItem(params, api) {
                    const node = nodes[params.dataIndex];
                    const [x, y] = api.coord([api.value(0), api.value(1)]);
                    const isStep = node.step >= 0, isSelected = isStep && node.step === selected;
                    const ink = isStep ? "#ffffff" : colour("text");
                    return {
                        type: "rect",
                        shape: { x: x - box.width / 2, y: y - box.height / 2, width: box.width, height: box.height, r: isStep ? 4 : 20 },
                        style: {
                            fill: isStep ? colourOfUnit(node.engine) : colour("card"),
                            stroke: isSelected ? colour("select") : colour("faint"),
                            lineWidth: isSelected ? 3.5 : isStep ? 0 : 1,
                        },
                        textConfig: { position: "inside" },
                        textContent: {
                            type: "text",
                            style: {
                                text: "{name|" + plain(node.name) + "}\n{op|" + node.op + "}",
                                align: "center", lineHeight: 15,
                                rich: {
                                    name: { fontSize: 12, fontWeight: 600, fill: ink, align: "center" },
                                    op: { fontSize: 11, fill: ink, align: "center" },
                                },
                            },
                        },
                    };
                },
            }],
        };
    }

    const at = document.getElementById("network-chart");
    at.setAttribute("aria-label", "Network of " + facts.layers.length + " steps; the table of layers has the same facts");
    addChart(at, height, options, (event) => event.seriesType === "custom" && select(event.data.node.step));

    at.addEventListener("keydown", (event) => {
        const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!move || !facts.layers.length) return;
        event.preventDefault();
        select(Math.min(Math.max(selected + move, 0), facts.layers.length - 1));
    });
    document.addEventListener("keydown", (event) => event.key === "Escape" && select(-1));

    const legend = document.getElementById("engine-legend");
    for (const unit of facts.units) {
        const entry = element("span", unit);
        entry.style.setProperty("--swatch", "var(--unit-" + (facts.units.indexOf(unit) % 6) + ")");
        legend.append(entry);
    }

    onSelect.push((step) => {
        const layer = facts.layers[step];
        document.getElementById("chosen").textContent = layer
            ? "Step " + step + " on " + layer.engine + ", " + layer.name + ": " + layer.summary + ", " +
              number(layer.cycles) + " cycles; ONNX nodes " + layer.nodes.join(", ")
            : "";
    });
})();
