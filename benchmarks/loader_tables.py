"""The tables of ``loader.py``: Markdown, and aligned as text, too."""
STAGES = ('open', 'read', 'crop', 'views', 'collate')


def print_table(heads, rows):
    """Print a table.

    Args:
        heads (Sequence[str]): Heads of the columns.
        rows (Sequence[Sequence]): As many cells in each.
    """
    cells = [heads] + [[str(c) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ['-' * width for width in widths])
    for row in cells:
        padded = [row[0].ljust(widths[0])]
        padded += [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print(f'| {" | ".join(padded)} |')
    print()


def print_clips(rows):
    """Costs of a clip, from the rows of ``measure_clips``."""
    heads = ['way', 'CPU ms/clip', 'clips/s/core', 'x released']
    heads += [f'{stage} ms' for stage in STAGES]
    heads += ['MB to device', 'MB read', 'peak MB', '(imports)', 'clips']
    table = []
    for row in rows:
        if 'failed' in row:
            table.append([row['way'], row['failed']] + [''] * (len(heads) - 2))
            continue
        sizes = [
            row[k] / 1e6 for k in ('bytes_to_device', 'bytes_read',
                                   'peak_bytes', 'imports_bytes')
        ]
        table.append([
            row['way'], f'{row["cpu_ms"]:.1f}',
            f'{row["clips_per_second"]:.2f}',
            '' if row['ratio'] is None else f'{row["ratio"]:.1f}',
            *[f'{row["stages"][stage]:.1f}'
              for stage in STAGES], f'{sizes[0]:.2f}', f'{sizes[1]:.1f}',
            f'{sizes[2]:.0f}', f'{sizes[3]:.0f}', row['clips']
        ])
    print_table(heads, table)


def print_open(rows):
    """Costs of opening, from the rows of ``measure_open``."""
    heads = ['reader', 'open s', 'open CPU s', 'with a frame s', 'MB read']
    keys = ('open_wall', 'open_cpu', 'first_wall')
    print_table(heads, [[row['reader'], row['failed'], '', '', '']
                        if 'failed' in row else
                        [row['reader'], *[f'{row[k]:.3f}' for k in keys],
                         f'{row["bytes_read"] / 1e6:.1f}']
                        for row in rows])  # yapf: disable


def print_memory(rows):
    """Memory over time, from the rows of ``measure_memory``."""
    heads = ['way', 'clips', 'MB early', 'MB late', 'growth']
    heads += ['worker peak MB', '(private)', 'CPU ms/clip']
    table = []
    for row in rows:
        if 'failed' in row:
            table.append([row['way'], row['failed']] + [''] * 6)
            continue
        early, late = row['early'], row['late']
        table.append([
            row['way'], f'{early["clips"]} to {late["clips"]}',
            f'{early["bytes"] / 1e6:.0f}', f'{late["bytes"] / 1e6:.0f}',
            f'{100 * row["growth"]:.1f} %', f'{late["worker_peak"] / 1e6:.0f}',
            f'{late["worker_private"] / 1e6:.0f}', f'{row["cpu_ms"]:.1f}'
        ])
    print_table(heads, table)
