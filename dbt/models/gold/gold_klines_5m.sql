{{
    config(
        unique_key=['symbol', 'open_time'],
        indexes=[{'columns': ['updated_at']}],
        pre_hook='{{ note_build_from_silver() }} {{ remove_broken_buckets(5) }}',
        post_hook='{{ analyze_new_table() }}',
    )
}}

{{ gold_klines(5) }}
