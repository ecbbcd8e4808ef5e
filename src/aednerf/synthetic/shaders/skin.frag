#version 330
#include common.glsl
#include output.glsl
in vec3 position, normal, rest;
in vec2 uv, occlusion;
in vec3 reach;
in float neck;
uniform sampler2DArray skin_colour;
uniform sampler2DArray skin_detail;
uniform vec4 wrinkle;   // forehead raised, brows drawn, eyes squeezed, cheeks raised: each in [0, 1]

// Wrinkles follow the expression: a bend of the normal along the face's own axes.
vec3 wrinkled(vec3 n, vec3 up, vec3 side) {
    float fore = wrinkle.x * exp(-pow((rest.y - 0.080) / 0.014, 2.0)) * smoothstep(0.052, 0.02, abs(rest.x));
    n += up * fore * 0.17 * sin(rest.y * 760.0 + 1.2 * sin(rest.x * 90.0));
    float glabella = wrinkle.y * exp(-pow((rest.y - 0.058) / 0.011, 2.0)) * smoothstep(0.016, 0.004, abs(rest.x));
    n += side * glabella * 0.22 * sin(rest.x * 620.0);
    vec2 corner = vec2(abs(rest.x) - 0.047, rest.y - 0.034);
    float crow = wrinkle.z * smoothstep(0.001, 0.008, corner.x) * smoothstep(0.022, 0.010, length(corner));
    n += up * crow * 0.18 * sin(atan(corner.y, corner.x + 0.012) * 14.0);
    return normalize(n);
}

void main() {
    float layer = floor(uv.x + 1e-4);
    vec3 at = vec3(uv.x - layer, uv.y, min(layer, 1.0));
    vec4 paint = texture(skin_colour, at);
    vec4 detail = texture(skin_detail, at);
    vec3 albedo = paint.rgb * paint.rgb;
    vec3 n = normalize(normal), v = normalize(eye_position - position);
    vec3 dp1 = dFdx(position), dp2 = dFdy(position);
    vec2 du1 = dFdx(uv), du2 = dFdy(uv);
    float hand = dot(cross(dp1, dp2), n) < 0.0 ? -1.0 : 1.0;   // the picture's rows run down
    vec3 p2 = hand * cross(dp2, n), p1 = hand * cross(n, dp1);
    vec3 t = p2 * du1.x + p1 * du2.x, b = p2 * du1.y + p1 * du2.y;
    float scale = inversesqrt(max(max(dot(t, t), dot(b, b)), 1e-20));
    vec3 dr1 = dFdx(rest), dr2 = dFdy(rest);
    vec3 up = p2 * dr1.y + p1 * dr2.y, side = p2 * dr1.x + p1 * dr2.x;
    up /= max(length(up), 1e-9); side /= max(length(side), 1e-9);
    n = wrinkled(n, up, side);
    vec2 slope = (detail.xy * 2.0 - 1.0) * 0.6;
    vec3 fine = normalize(n + (t * slope.x + b * slope.y) * scale);
    float ao = occlusion.x * mix(1.0, detail.z, 0.5);
    vec3 ao_colour = pow(vec3(max(ao, 1e-3)), vec3(0.72, 1.0, 1.12));

    float key = lit(position, normalize(normal), 0.0022, 0.010);
    vec3 shade = vec3(smoothstep(0.0, 0.85, key), smoothstep(0.0, 1.0, key), smoothstep(0.05, 1.0, key));
    vec3 diffuse = ambient(mix(n, fine, 0.5)) * ao_colour;
    float specular = 0.0;
    float oil = paint.a;
    float rough = mix(0.56, 0.34, oil), sharp = mix(0.38, 0.24, oil);
    vec3 gloss = vec3(0.0);
    // Light that enters the skin leaves it elsewhere: red farthest, so red has the softest terminator.
    const vec3 wrap = vec3(0.36, 0.16, 0.11);
    for (int i = 0; i < 4; i++) {
        vec3 l = light_direction[i];
        vec3 bent = vec3(dot(mix(fine, n, 0.85), l), dot(mix(fine, n, 0.5), l), dot(mix(fine, n, 0.35), l));
        vec3 w = clamp((bent + wrap) / (1.0 + wrap), 0.0, 1.0);
        w = pow(w, vec3(1.0) + wrap * 1.6);
        float reached = i == 0 ? key : reach[i - 1];
        vec3 open = i == 0 ? shade : vec3(reached);
        diffuse += light_colour[i] * w * open / PI * 2.2;
        float area = light_spread[i] * 0.35;
        float lobes = ggx(fine, v, l, min(rough + area, 1.0), 0.03);
        if (i == 0) lobes = 0.78 * lobes + 0.22 * ggx(fine, v, l, min(sharp + area, 1.0), 0.03);
        gloss += light_colour[i] * lobes * reached * (i == 0 ? 2.2 : i == 1 ? 0.6 : 1.0);
    }
    float nv = max(dot(fine, v), 0.0);
    float fresnel = 0.028 + 0.16 * pow(1.0 - nv, 5.0);
    gloss += studio(reflect(-v, fine), 0.5) * fresnel * ao * ao;
    gloss *= mix(0.55, 1.25, oil) * mix(1.0, 0.25, detail.w);
    // Thin ears glow red against the rim lights.
    float thin = smoothstep(0.078, 0.086, abs(rest.x)) * smoothstep(-0.04, -0.02, rest.y) * smoothstep(0.07, 0.05, rest.y);
    vec3 through = vec3(0.0);
    for (int i = 2; i < 4; i++) through += light_colour[i] * max(dot(-n, light_direction[i]), 0.0);
    vec3 colour = albedo * diffuse + gloss + thin * through * vec3(0.22, 0.045, 0.02) * 0.5;
    out_colour = vec4(tone(colour), 1.0);
    out_part = part(neck > 0.0 ? 2 : 1);
}
